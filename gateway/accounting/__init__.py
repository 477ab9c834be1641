"""What calls cost and what becomes of their records."""
