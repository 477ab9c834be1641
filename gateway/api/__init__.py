"""The HTTP edge: one endpoint, one file. What they share: identity, errors, relay, door."""
