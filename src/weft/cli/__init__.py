"""What a person types.

Knows: commands, options, exit codes, how an answer looks on a terminal and in a pipe.
Offers: the program `weft` (also `python -m weft`).
Speaks: to a running server over HTTP, and to `app` for everything that needs none.
"""
