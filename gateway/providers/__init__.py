"""Upstreams: one file a kind, each a Provider that makes Responders."""
