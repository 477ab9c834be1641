"""Runs: what is answered over several steps, and outlives the request and the process that began it."""
