"""Checks that code of the last release can run beside the database of the next one.

An upgrade without a stop applies the migrations while old processes serve. `released.json` says which migration of each
app is the last one of each release; the check reads all later ones, without a database.
"""
