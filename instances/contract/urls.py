"""The three URL forms of contract.md §1, with doubled slashes anywhere. Included after all other URLs.

Importing the modules of the methods registers them.
"""

from django.urls import re_path

from instances.contract import views
from instances.contract.chats import chats, dialogs, groups, labels, messages
from instances.contract.instance import (
    account_methods,
    actions_queue,
    bans,
    buttons,
    hook_history,
    profile,
    settings,
    status,
)
from instances.contract.sending import contacts_and_locations, files, forwarding, messages_queue, templates
from instances.contract.sending import messages as send_messages

__all__ = [
    "account_methods",
    "actions_queue",
    "bans",
    "buttons",
    "chats",
    "contacts_and_locations",
    "dialogs",
    "files",
    "forwarding",
    "groups",
    "hook_history",
    "labels",
    "messages",
    "messages_queue",
    "profile",
    "send_messages",
    "settings",
    "status",
    "templates",
]

urlpatterns = [
    re_path(r"^/*instance(?P<number>[0-9]+)(?P<name>/(?s:.*))?$", views.by_path, name="contract"),
    re_path(r"^/*(?P<name>settings/+[^/]+)/*$", views.by_query, name="contract-setting-by-query"),
    re_path(r"^/*(?P<name>[^/]+)/*$", views.by_query, name="contract-by-query"),
]
