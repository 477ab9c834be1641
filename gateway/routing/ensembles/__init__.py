"""Several answers for one: cascades and votes."""
