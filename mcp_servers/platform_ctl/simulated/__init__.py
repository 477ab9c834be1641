"""A cluster that is simulated, with a clock of its own and incidents from a script: what an agent on call is tried out on."""
