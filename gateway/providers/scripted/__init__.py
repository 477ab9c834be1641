"""A provider whose answers, delays and failures come from a document. For demonstrations and tests, and named for it."""
