"""The embedded log: SQLite files, one folder per partition."""
