"""The operations of the REST API: read the request, call one action, show what came of it."""
