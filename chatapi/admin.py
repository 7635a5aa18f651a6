"""Django looks for an app's admin here; the support desk is in chatapi/staff/, one module per subject."""

from chatapi.staff import accounts, audit_log, background, bins, endpoints, hooks, instances, users

__all__ = ["accounts", "audit_log", "background", "bins", "endpoints", "hooks", "instances", "users"]
