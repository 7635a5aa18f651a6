"""Planted faults, each found by its check of chatapi/runtime/doctor; and healthy sites, where nothing is found."""
