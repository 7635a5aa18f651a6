"""The dispatcher: claim.py leases lanes and hooks, lanes.py says whose turn it is, loop.py sends by
CurlMulti, record.py writes what came of it. hooks/worker_slots.py is the frame around it."""
