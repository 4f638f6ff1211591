"""The ledger: who did what, when and to what, in a chain of hashes that nobody can change unnoticed.

Knows: entries, the chain over them, and the root that is signed for each day.
Offers: `Ledger` (the witness of every room that changes something), `RootSigner`, verification without a server, the route.
Speaks: to auth, whose deeds it writes down, and to db for its tables.
"""
