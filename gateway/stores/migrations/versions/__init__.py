"""Migrations, one a file, in the order of their revisions. A published one is never changed; the next one mends it.

A file is `v0002_ledger.py` and has `revision = "0002_ledger"`, `down_revision = "0001_directory"` (the one before),
`def upgrade(op: Operations) -> None` and `def downgrade(op: Operations) -> None`, with `Operations` of `alembic.operations`.
Not `from alembic import op`: the package's docstring says why. Tables are written out, not imported: they were like this
at that revision, whatever the code says today. Both databases take the same; `op.get_bind().dialect.name` tells them apart.
"""
