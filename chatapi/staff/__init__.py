"""The staff desk: lists that stay fast on a million rows, what staff may do, looks at accounts, the audit trail.

It stands in Django's admin and at the top of the house, for it is about all apps. Nothing here writes by itself: what
changes something is a Tool (tools.py) that calls an app's action with `acting_user`, which writes the audit entry.
"""
