"""What surrounds an answer, in one visible order: see `build`."""
