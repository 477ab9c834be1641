"""A second target beside one that is slow to begin."""
