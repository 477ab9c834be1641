"""/mcp: the tools and agents of this server for MCP clients. `endpoint` is the door, `methods` lists what is answered by whom."""
