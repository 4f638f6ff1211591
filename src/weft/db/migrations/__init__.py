"""The schema's history, one file a step, in `versions`.

A change of a `tables.py` needs a step: copy the newest file, give it the next number, write both directions. The test of
the migrations shows what still differs until tables and steps agree.
"""
