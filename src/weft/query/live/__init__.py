"""The live feed: what happens now, pushed to everybody who watches.

Everybody who asked for the same shares one view: events are read, filtered and written down once and the same bytes go to all.
"""
