"""Changes to users, accounts, members, keys and payments, one function each; nothing else writes these tables.

Each function is atomic and writes its audit entry. `acting_user` is the user who makes the change; None for a program.
Callers check permissions.
"""
