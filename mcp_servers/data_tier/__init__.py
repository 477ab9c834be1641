"""Reads from databases with SQL: single SELECTs over listed tables and columns, in read-only transactions, bounded in time, rows and bytes."""
