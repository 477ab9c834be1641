"""Runs the platform control: python -m mcp_servers.platform_ctl --config FILE."""

import sys

from mcp_servers.platform_ctl.command import run

if __name__ == "__main__":
    run(sys.argv[1:])
