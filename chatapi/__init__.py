"""The project: settings, URLs, the embedded PostgreSQL, `manage.py up` and `worker`, health."""

__version__ = "0.2.0.dev0"
