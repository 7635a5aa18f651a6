"""XMPP: an account at any server, over a stream that a receiver holds. Messages are sent through the same stream.

The stream is our own (stream.py), for three reasons. slixmpp's client takes 970 KB and 65 ms of CPU for each account
(measured with nine plugins), and a receiver holds thousands. It acknowledges stanzas (XEP-0198) when they arrive; here,
when they are recorded, so that a server without an archive sends the others again. And it does what a server asks for
without a limit: follows redirects, and computes SCRAM iterations in the event loop.
"""
