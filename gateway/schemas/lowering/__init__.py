"""Lowering: a schema as the nearest one that a provider's strict mode takes, and what that one no longer says."""
