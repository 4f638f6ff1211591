"""Reading back what was taken in.

Knows: the questions of the API, their parameters and shapes, live feeds, saved dashboards, conservation, verification, erasure.
Offers: routes for all of these and for the verdict; the workers of feeds and views; checks; `verify`.
Speaks: to the log, the store, the database and the check register, all handed in; to who asks through auth's signatures; to
stream for what an expression means.
"""
