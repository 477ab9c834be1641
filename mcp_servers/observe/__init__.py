"""What a running system says of itself, as an MCP server: Prometheus' metrics, Alertmanager's alerts and silences, and log files."""
