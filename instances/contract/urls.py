"""The three address forms of contract.md section 1, with doubled slashes anywhere; the last of all addresses.

Importing the modules of the methods is what registers them.
"""

from django.urls import re_path

from instances.contract import (
    actions_queue,
    bans,
    buttons,
    cards,
    chats,
    control,
    dialogs,
    files,
    groups,
    history,
    instances_of,
    labels,
    messages_queue,
    profile,
    reading,
    sending,
    sent_before,
    views,
    webhook,
)

__all__ = [
    "actions_queue",
    "bans",
    "buttons",
    "cards",
    "chats",
    "control",
    "dialogs",
    "files",
    "groups",
    "history",
    "instances_of",
    "labels",
    "messages_queue",
    "profile",
    "reading",
    "sending",
    "sent_before",
    "webhook",
]

urlpatterns = [
    re_path(r"^/*instance(?P<number>[0-9]+)(?P<name>/(?s:.*))?$", views.by_path, name="contract"),
    re_path(r"^/*(?P<name>[^/]+)/*$", views.by_query, name="contract-by-query"),
]
