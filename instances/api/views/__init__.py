"""The operations of the REST API: each reads the request, calls one action and returns the result."""
