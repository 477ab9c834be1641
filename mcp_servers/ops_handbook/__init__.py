"""Runbooks as an MCP server: Markdown with front matter, found by words or by the alert that fires, fetched whole, and cited by lines and hash."""
