"""The vocabulary of the product: calls, items, events, errors. No I/O, no framework."""
