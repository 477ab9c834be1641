"""Prompt templates: what a request's `prompt` names becomes its instructions, its first messages and its defaults."""
