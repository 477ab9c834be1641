"""Strategies: in which order a model's targets are asked."""
