"""REST under /api/v1/: the account's instances, their sandbox, and the delivery log, for programs."""
