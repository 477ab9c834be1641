"""Approvals in Slack: questions out as messages, clicks in as votes."""
