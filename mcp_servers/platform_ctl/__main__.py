"""Runs the platform control: python -m mcp_servers.platform_ctl --config FILE."""

from mcp_servers.platform_ctl.program import ABOUT, build
from mcp_servers.serving import main

if __name__ == "__main__":
    main("platform_ctl", ABOUT, build)
