"""Persistent names: minted with what they name, resolved here for ever, registered where others look.

Knows: how ARKs, DOIs and Handles are written, what each names and in which state it is, what is still to be registered.
Offers: a minter that writes into its caller's transaction, a resolver, the worker that registers at agencies, routes, checks.
Speaks: to the database, handed in; to registration agencies through a port; to who asks through auth's signatures.
"""
