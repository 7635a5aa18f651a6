"""Changes to users, accounts, members, keys and payments, one function each; nothing else writes these tables.

Each function is atomic, writes its audit entry inside, and takes `acting_user`: the user who does it, None for a
program. Callers check permissions.
"""
