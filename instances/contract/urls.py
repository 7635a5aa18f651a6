"""The three address forms of contract.md section 1, with doubled slashes anywhere; the last of all addresses.

Importing the modules of the methods is what registers them.
"""

from django.urls import re_path

from instances.contract import buttons, control, reading, sending, views, webhook

__all__ = ["buttons", "control", "reading", "sending", "webhook"]

urlpatterns = [
    re_path(r"^/*instance(?P<number>[0-9]+)(?P<name>/.*)?$", views.by_path, name="contract"),
    re_path(r"^/*(?P<name>[^/]+)/*$", views.by_query, name="contract-by-query"),
]
