"""Servers that imitate messengers over real sockets and fail as told. Libraries that others wrote judge them."""
