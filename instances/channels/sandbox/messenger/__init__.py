"""The sandbox messenger: a server that a sender talks to as to a real messenger, with faults to order.

It keeps everything in memory, uses no database, and serves thousands of connections in one thread. Its API is in
docs/sandbox-messenger.md.
"""
