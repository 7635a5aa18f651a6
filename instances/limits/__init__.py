"""Limits of requests: counters per minute, wrong tokens per IP address, and slots for requests that take long."""
