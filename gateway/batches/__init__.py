"""Batches: many calls in one file, answered when there is room for them. The edges, HTTP's files and batches, are elsewhere."""
