"""The OAuth 2.1 client for servers of tools: who they let in, and in whose name."""
