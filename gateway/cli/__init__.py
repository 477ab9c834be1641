"""The command line: one command, one file, imported when it is called."""
