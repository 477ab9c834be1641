"""The embedded models: real inference on this machine's CPU, in supervised child processes that the gateway talks to over loopback."""
