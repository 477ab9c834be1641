"""Runs the handbook: python -m mcp_servers.ops_handbook --config FILE."""

from mcp_servers.ops_handbook.program import ABOUT, build
from mcp_servers.serving import main

if __name__ == "__main__":
    main("ops_handbook", ABOUT, build)
