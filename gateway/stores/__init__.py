"""What is kept: one port a noun, adapters per technology. SQLAlchemy is loaded only where a database is configured."""
