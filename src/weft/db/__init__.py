"""The database of everything that is not an event: accounts, sessions, keys.

Knows: SQLAlchemy 2 async, SQLite and PostgreSQL, and how a schema moves from one version to the next.
Offers: `Database` (units of work), `Base` and column types, `migrate`. SQLAlchemy is the port; there is no second one over it.
Speaks: to core alone. Rooms above own their tables and hand over nothing but SQL expressions.
"""
