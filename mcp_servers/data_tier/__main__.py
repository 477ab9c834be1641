"""Runs the data tier: python -m mcp_servers.data_tier --config FILE."""

from mcp_servers.data_tier.program import ABOUT, build
from mcp_servers.serving import main

if __name__ == "__main__":
    main("data_tier", ABOUT, build)
