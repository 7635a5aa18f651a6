"""Receives what messengers report: stored callbacks, and resident receivers that poll or hold a stream."""
