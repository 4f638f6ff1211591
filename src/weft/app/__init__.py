"""The composition root: where settings meet rooms and become a running process.

Knows: every room's settings, parts and workers; what a process role is; how a process starts, drains and ends.
Offers: Settings and where each value came from, Resources, the roles, the application, `run`.
Speaks: to every room below; the command line stands on it.
"""
