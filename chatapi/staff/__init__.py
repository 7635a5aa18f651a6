"""The support desk: Django's admin with lists that stay fast on a million rows, tools for staff, and impersonation.

It is in the top layer because it is about all apps. Admin classes write nothing themselves: a change is a Tool
(base/tools.py), which calls an app's action with `acting_user`; the action writes the audit entry.
"""
