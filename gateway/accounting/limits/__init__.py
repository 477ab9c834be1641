"""Limits and budgets: how much of what may be used by whom. Counting is the stores' business, refusing is decided here."""
