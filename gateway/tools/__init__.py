"""Tools that this server runs: MCP servers, HTTP services described by OpenAPI, and those that a run needs of itself."""
