"""One search over the support desk: by phone, e-mail address, webhook URL, host, message id, hook id, instance number.

Each kind of result requires the permission to view its table. A single result opens by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import KEY_PREFIX_LENGTH, Account, User
from chatapi.staff.base.lists import fetch_keys, parse_number
from chatapi.staff.base.search import (
    accounts_matching,
    chats_with,
    hooks_of_message,
    is_message_id,
    messages_with_id,
    named_instances,
    parse_phone,
    queued_messages_with_id,
    user_keys,
)
from chatapi.staff.desk.links import customer_url, hook_url, message_url
from hooks.models import Hook, parse_webhook_id
from instances.models import Chat, Instance, Message, OutgoingMessage
from instances.pages.log.shared_hooks import masked_url

SHOWN = 20  # results of each kind
LONGEST = 2000  # characters of a search text: a webhook URL
KEY, SIGNING_SECRET = "uid_", "whsec_"


class Row(NamedTuple):
    title: str
    text: str
    url: str


class Group(NamedTuple):
    """The results of one kind; `has_more` if only the first SHOWN are listed."""

    kind: str  # of one result
    icon: str
    rows: list[Row]
    has_more: bool


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """The page: `?q=` is the text. Any staff user may open it, and finds what their group may view.

    A single result redirects to its page.
    """
    text = searched_text(request.GET.get("q", ""))
    groups = groups_of(text, request.user) if text else []
    rows = [row for group in groups for row in group.rows]
    if len(rows) == 1:
        return HttpResponseRedirect(rows[0].url)
    context = admin.site.each_context(request) | {"title": "Search", "q": text, "groups": groups}
    return TemplateResponse(request, "chatapi/staff/desk/search.html", context)


def searched_text(given: str) -> str:
    """The text to search for. Of an account's key only the part that pages show is used and shown again."""
    text = given.replace("\x00", "").strip()[:LONGEST]
    if text.startswith(KEY):
        return text[:KEY_PREFIX_LENGTH]
    return SIGNING_SECRET + "…" if text.startswith(SIGNING_SECRET) else text


# Kind, icon, permission, and the function that finds the rows: SHOWN and one more.
KINDS: tuple[tuple[str, str, str, Callable[[str], list[Row]]], ...]


def groups_of(text: str, user: Any) -> list[Group]:
    """The results by kind, without empty groups. Every query uses an index; see base/search.py."""
    groups = []
    for kind, icon, permission, find in KINDS:
        rows = find(text) if user.has_perm(permission) else []
        if rows:
            groups.append(Group(kind, icon, rows[:SHOWN], len(rows) > SHOWN))
    return groups


def instance_title(instance: Instance) -> str:
    """The name with the number, which a name alone would leave open."""
    return f"{instance} ({instance.number})" if instance.name else str(instance)


def words(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def instance_rows(text: str) -> list[Row]:
    keys = named_instances(text)[: SHOWN + 1]
    found = Instance.objects.filter(pk__in=keys).select_related("owner__owner", "endpoint").order_by("-pk")
    return [
        Row(
            instance_title(one),
            words(
                one.owner.owner.email,
                one.phone and f"+{one.phone}",
                masked_url(one.endpoint.shown_url),
            ),
            customer_url(one.owner_id, one.number),
        )
        for one in found
    ]


def account_rows(text: str) -> list[Row]:
    if parse_number(text) is not None:  # the number of an instance, whose row leads to the same page
        return []
    keys = fetch_keys(Account.objects.filter(accounts_matching(text)))[: SHOWN + 1]
    found = Account.objects.filter(pk__in=keys).select_related("owner").order_by("owner__email")
    return [
        Row(one.owner.email, words(one.name, "blocked" if one.blocked_at else ""), customer_url(one.pk))
        for one in found
    ]


def user_rows(text: str) -> list[Row]:
    """Users without an account of their own; the others are customers."""
    if "@" not in text:
        return []
    keys = user_keys(text)
    found = User.objects.filter(pk__in=keys, account=None).order_by("email")[: SHOWN + 1]
    return [Row(one.email, "", reverse("admin:accounts_user_change", args=[one.pk])) for one in found]


def chat_rows(text: str) -> list[Row]:
    phone = parse_phone(text)
    if not phone:
        return []
    found = Chat.objects.filter(pk__in=chats_with(phone)[: SHOWN + 1]).select_related("instance")
    return [
        Row(
            f"+{phone}",
            f"of {instance_title(one.instance)}",
            customer_url(one.instance.owner_id, one.instance.number),
        )
        for one in found
    ]


def message_rows(text: str) -> list[Row]:
    """Messages in the queue or failed, then those that were sent or received."""
    if not is_message_id(text) or text.startswith((KEY, SIGNING_SECRET)):
        return []
    waiting = OutgoingMessage.objects.filter(pk__in=queued_messages_with_id(text)[: SHOWN + 1])
    found = Message.objects.filter(pk__in=messages_with_id(text)[: SHOWN + 1])
    rows: list[tuple[OutgoingMessage | Message, str, datetime]] = [
        (one, "failed, of" if one.failed_at else "in the queue of", one.created_at)
        for one in waiting.select_related("instance")
    ]
    rows += [
        (one, "sent by" if one.from_me else "received by", one.time)
        for one in found.select_related("instance")
    ]
    return [
        Row(
            one.message_id,
            f"{what} {instance_title(one.instance)}, {at:%Y-%m-%d %H:%M:%S} UTC",
            message_url(one),
        )
        for one, what, at in rows
    ]


def hook_rows(text: str) -> list[Row]:
    public_id = parse_webhook_id(text)
    if public_id is not None:
        keys = fetch_keys(Hook.objects.filter(public_id=public_id))
    elif is_message_id(text) and not text.startswith((KEY, SIGNING_SECRET)):
        keys = hooks_of_message(text)[: SHOWN + 1]
    else:
        return []
    found = (
        Hook.objects.filter(pk__in=keys).defer("body").select_related("endpoint__instance").order_by("-pk")
    )
    return [
        Row(
            one.webhook_id,
            words(one.get_kind_display(), one.get_state_display(), str(one.endpoint.instance), one.last_host),
            hook_url(one),
        )
        for one in found
    ]


KINDS = (
    ("Instance", "device-mobile", "instances.view_instance", instance_rows),
    ("Customer", "user-circle", "accounts.view_account", account_rows),
    ("User", "users", "accounts.view_user", user_rows),
    ("Contact", "message-circle", "hooks.view_hook", chat_rows),
    ("Message", "messages", "hooks.view_hook", message_rows),
    ("Hook", "webhook", "hooks.view_hook", hook_rows),
)
