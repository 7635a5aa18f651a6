"""Formats of dates and numbers for templates that name none (FORMAT_MODULE_PATH)."""
