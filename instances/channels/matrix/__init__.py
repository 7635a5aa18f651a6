"""Matrix: an account at any homeserver, over its client-server API. Rooms are chats; only rooms without encryption.

A message is sent with a transaction id, so a repeated request sends it once. Events are received by long polling of
/sync, whose position is saved in the transaction of the events.
"""
