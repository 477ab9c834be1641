"""Pure translation between public APIs' wire formats and the hub's calls, items and events."""
