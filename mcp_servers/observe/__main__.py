"""Runs it: python -m mcp_servers.observe --config FILE."""

from mcp_servers.observe.program import ABOUT, build
from mcp_servers.serving import main

if __name__ == "__main__":
    main("observe", ABOUT, build)
