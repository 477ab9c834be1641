"""The upstream HTTP client: one contract (`protocol`), the hot path's own implementation, and a full client beside it."""
