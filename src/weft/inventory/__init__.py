"""What there is in the laboratory: instruments, places for files, accounts on shares, and who works together.

Knows: instruments, locations, service accounts, schedules, hooks, groups, projects, requests for instruments, notices.
Offers: the management routes that StreamWeave's clients know, who belongs to what, and one place where every change is known.
Speaks: to the database, handed in; to accounts and to who asks through auth; to a witness that writes down what was changed.
"""
