"""Programs of this machine: a file says which, and how many of each run; they are started, watched, replaced and stopped here."""
