"""Rollouts: evidence decides which version of a model has its calls."""
