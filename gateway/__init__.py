"""Switchgear: a self-hosted LLM gateway and agent runtime in one process."""

__version__ = "0.1.0"
