"""Migrations, one a file, in the order of their numbers. A published one is never changed; the next one mends it."""
