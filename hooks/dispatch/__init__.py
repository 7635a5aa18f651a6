"""The dispatcher: claim.py leases lanes and hooks, lanes.py decides which hook is next, loop.py sends them by
transfers.py, record.py writes the results. hooks/worker_slots.py runs it."""
