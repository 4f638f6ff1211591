"""Rules to alerts: say what matters, be told once when it happens, and be able to ask why.

Knows: rules, the life of an alert, silences, escalation, channels and what was delivered through them.
Offers: the worker that judges results, the worker that delivers, routes for rules, alerts, silences and channels, checks.
Speaks: to stream's queries and results, to the log and the database, handed in; to who asks through auth's signatures.
"""
