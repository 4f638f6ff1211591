"""Reading back what was taken in.

Knows: the questions of the API, their parameters and shapes, the live feed, conservation, verification, erasure.
Offers: routes for events, metrics, series, topics, dead letters and the verdict; the feed worker; checks; `verify`.
Speaks: to the log, the store and the check register, all handed in; to who asks through auth's signatures.
"""
