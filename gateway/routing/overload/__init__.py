"""Bounds on the calls that a target has at once, the lines in which others wait, and what is done instead."""
