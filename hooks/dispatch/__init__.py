"""The dispatcher: due_lanes.py finds lanes, claim.py leases them and their hooks, lanes.py decides which hook is next,
loop.py sends them by transfers.py, record.py writes the results. hooks/worker_slots.py runs it."""
