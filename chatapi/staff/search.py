"""One search over the support desk: by phone, e-mail address, webhook URL, host, message id, hook id, instance number.

Each kind of result requires the permission to view its list; the rows link to the pages of those lists.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import Account, User
from chatapi.staff.base.lists import fetch_keys
from chatapi.staff.base.search import (
    accounts_matching,
    chats_with,
    hooks_of_message,
    instances_matching,
    is_message_id,
    messages_with_id,
    parse_hook_id,
    parse_phone,
    user_keys,
)
from hooks.models import Hook
from instances.models import Chat, Instance, Message

SHOWN = 20  # results of each kind
LONGEST = 2000  # characters of a search text: a webhook URL


class Row(NamedTuple):
    title: str
    text: str
    url: str


class Group(NamedTuple):
    """The results of one kind; `has_more` if only the first SHOWN are listed."""

    title: str
    rows: list[Row]
    has_more: bool


def search(request: HttpRequest) -> HttpResponse:
    """The page: `?q=` is the text. Any staff user may open it, and finds what their group may view."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST]
    context = admin.site.each_context(request) | {
        "title": "Search",
        "q": text,
        "groups": [group for group in groups_of(text, request.user) if group.rows] if text else [],
    }
    return TemplateResponse(request, "chatapi/staff/search.html", context)


def groups_of(text: str, user: Any) -> list[Group]:
    """The results by kind. Every query uses an index; see base/search.py."""
    groups = []
    if user.has_perm("accounts.view_account"):
        groups.append(group("Accounts", account_rows(text)))
    if user.has_perm("accounts.view_user"):
        groups.append(group("Users", user_rows(text)))
    if user.has_perm("instances.view_instance"):
        groups.append(group("Instances", instance_rows(text)))
    if user.has_perm("hooks.view_hook"):
        groups.append(group("Chats with this contact", chat_rows(text)))
        groups.append(group("Messages", message_rows(text)))
        groups.append(group("Hooks", hook_rows(text)))
    return groups


def group(title: str, rows: list[Row]) -> Group:
    return Group(title, rows[:SHOWN], len(rows) > SHOWN)


def page_of(name: str, key: object) -> str:
    return reverse(f"admin:{name}_change", args=[key])


def account_rows(text: str) -> list[Row]:
    keys = fetch_keys(Account.objects.filter(accounts_matching(text)))[: SHOWN + 1]
    found = Account.objects.filter(pk__in=keys).select_related("owner").order_by("owner__email")
    return [Row(one.owner.email, one.name, page_of("accounts_account", one.pk)) for one in found]


def user_rows(text: str) -> list[Row]:
    if "@" not in text:
        return []
    found = User.objects.filter(pk__in=user_keys(text)[: SHOWN + 1]).order_by("email")
    return [Row(one.email, "", page_of("accounts_user", one.pk)) for one in found]


def instance_rows(text: str) -> list[Row]:
    condition = instances_matching(text)
    if condition is None:
        return []
    keys = fetch_keys(Instance.objects.filter(condition))[: SHOWN + 1]
    found = Instance.objects.filter(pk__in=keys).select_related("owner__owner", "endpoint").order_by("-pk")
    return [
        Row(
            f"{one} ({one.number})" if one.name else str(one),
            " · ".join(
                filter(None, (one.owner.owner.email, one.phone and f"+{one.phone}", one.endpoint.url))
            ),
            page_of("instances_instance", one.pk),
        )
        for one in found
    ]


def chat_rows(text: str) -> list[Row]:
    phone = parse_phone(text)
    if not phone:
        return []
    found = Chat.objects.filter(pk__in=chats_with(phone)[: SHOWN + 1]).select_related("instance")
    return [
        Row(
            f"+{phone}",
            f"of {one.instance} ({one.instance.number})",
            page_of("instances_instance", one.instance_id),
        )
        for one in found
    ]


def message_rows(text: str) -> list[Row]:
    """A message has no page of its own: its row leads to its hooks."""
    if not is_message_id(text):
        return []
    found = Message.objects.filter(pk__in=messages_with_id(text)[: SHOWN + 1]).select_related("instance")
    hooks = reverse("admin:hooks_hook_changelist")
    return [
        Row(
            one.message_id,
            f"{'sent' if one.from_me else 'received'} by {one.instance} ({one.instance.number}), "
            f"{one.time:%Y-%m-%d %H:%M:%S} UTC",
            f"{hooks}?q={quote(f'{one.instance.number} {one.message_id}')}",
        )
        for one in found
    ]


def hook_rows(text: str) -> list[Row]:
    public_id = parse_hook_id(text)
    if public_id is not None:
        keys = fetch_keys(Hook.objects.filter(public_id=public_id))
    elif is_message_id(text):
        keys = hooks_of_message(text)[: SHOWN + 1]
    else:
        return []
    found = (
        Hook.objects.filter(pk__in=keys).defer("body").select_related("endpoint__instance").order_by("-pk")
    )
    return [
        Row(
            one.webhook_id,
            " · ".join(
                filter(
                    None,
                    (
                        one.get_kind_display(),
                        one.get_state_display(),
                        str(one.endpoint.instance),
                        one.last_host,
                    ),
                )
            ),
            page_of("hooks_hook", one.pk),
        )
        for one in found
    ]
