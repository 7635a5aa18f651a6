"""The content of the API docs pages, built from the same tables and docstrings that the API uses."""
