"""Policies: pure functions from facts to a decision. They read nothing and start nothing; texts and facts are handed in."""
