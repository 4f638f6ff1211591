"""Who asks, and what they may do.

Knows: accounts, passwords, sessions, access tokens, API keys, lock-outs, the secrets behind them.
Offers: the authenticator every door uses, the dependency types that name a route's scope, the routes, functions for the CLI.
Speaks: to db for its tables and to api for the manners of HTTP.
"""
