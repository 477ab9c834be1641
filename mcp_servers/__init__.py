"""Stand-alone MCP programs, each for one part of what a company runs. They know MCP and their own subject, and nothing of the gateway."""
