"""One budget for the web server's threads that wait for other servers: tests, simulations, replays, files by URL.

The server has 40 threads (chatapi/runtime/web). Half of them may wait, and an account has a share of these, so that
pages and calls always find a thread.
"""

from instances.limits.thread_slots import ThreadSlots

MAX_WAITING = 20  # per web process
MAX_WAITING_PER_ACCOUNT = 6

slots = ThreadSlots(MAX_WAITING, MAX_WAITING_PER_ACCOUNT)
