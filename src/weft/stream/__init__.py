"""Continuous queries: questions that are answered while events arrive.

Knows: the expression language, windows, lateness, aggregates, the state of every query, and how Flink runs the same queries.
Offers: a catalogue of queries, the worker that answers them, routes for queries and expressions, checks.
Speaks: to the log and the database, handed in; to who asks through auth's signatures.
"""
