"""The guards before a semantic hit: two questions with like meanings are refused an answer in common where they differ in what counts.

Pure functions over text: no I/O but for their own word lists, read at the first use. They never say that two questions are
the same, only that nothing was found in which they differ; similarity is measured elsewhere.
"""

from gateway.cache.guards.reading import Reading, read
from gateway.cache.guards.verdict import GUARDS, refusal

__all__ = ["GUARDS", "Reading", "read", "refusal"]
