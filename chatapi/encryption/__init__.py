"""Encryption of the secrets that the database holds, with SECRETS_KEY, which the database does not hold.

A dump of the database therefore opens nothing. Tokens are found by their digest. Knows no app (lowest layer).
"""
