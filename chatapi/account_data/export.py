"""Exports all data of an account as one JSON file.

Only for the owner, who must have confirmed the password within five minutes (accounts/reauthentication.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, AccountKey, Payment
from accounts.reauthentication import password_required
from accounts.views.account import own_account
from hooks.models import Hook
from instances.actions.settings import read_settings
from instances.models import Instance, Message
from testing_tools.verification.models import Capture

# The file is streamed: memory does not grow with its size.
ROWS_PER_QUERY = 500
HOOK_FIELDS = (
    "public_id", "kind", "message", "chat", "state", "skip_reason", "simulated", "attempts_made",
    "last_outcome", "last_status", "last_host", "created_at", "finished_at",
)  # fmt: skip
MESSAGE_FIELDS = (
    "number", "message_id", "chat__chat_id", "author", "sender_name", "type", "body", "caption", "from_me",
    "forwarded", "ack", "time",
)  # fmt: skip
CHAT_FIELDS = ("chat_id", "name", "is_group", "last_time")
CAPTURE_FIELDS = ("number", "at", "method", "path", "size", "label", "summary")


@require_safe
@login_required
@password_required
@never_cache
def export_account(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    own = own_account(request)
    with transaction.atomic():
        audit.record(own, AuditAction.ACCOUNT_EXPORTED, acting_user=own.owner)
    response = StreamingHttpResponse(account_json(own), content_type="application/json")
    name = f"chat-api-{timezone.now():%Y-%m-%d}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, cls=DjangoJSONEncoder)


def account_json(account: Account) -> Iterator[str]:
    """The file piece by piece: `{"account": …, "keys": […], "payments": […], "members": […], "instances": […]}`."""
    yield "{\n" + f'"account": {as_json(account_fields(account))},\n'
    keys = AccountKey.objects.filter(account=account)
    yield f'"keys": {as_json(list(keys.values("prefix", "created_at", "last_used_at", "revoked_at")))},\n'
    payments = Payment.objects.filter(account=account).order_by("pk")
    yield '"payments": ' + as_json(
        list(payments.values("instance__number", "days", "amount", "currency", "paid_at", "note"))
    )
    members = account.members.values("user__email", "role", "created_at")
    yield f',\n"members": {as_json(list(members))},\n"instances": ['
    for place, instance in enumerate(
        Instance.objects.of_account(account).select_related("endpoint").order_by("pk")
    ):
        yield ",\n" if place else "\n"
        yield from instance_json(instance)
    yield "\n]}\n"


def account_fields(account: Account) -> dict[str, Any]:
    return {"email": account.owner.email, "name": account.name, "created_at": account.created_at}


def instance_json(instance: Instance) -> Iterator[str]:
    """One instance, without its token and signing secrets."""
    fields = {
        "number": instance.number,
        "name": instance.name,
        "channel": instance.channel,
        "status": instance.account_status,
        "phone": instance.phone,
        "paid_until": instance.expires_at,
        "created_at": instance.created_at,
        "settings": read_settings(instance),
        "status_history": list(
            instance.status_changes.order_by("pk").values("account_status", "substatus", "at")
        ),
    }
    yield as_json(fields)[:-1]
    yield from list_json("chats", iterate_rows(instance.chats.all(), CHAT_FIELDS))
    yield from list_json("messages", iterate_rows(Message.objects.filter(instance=instance), MESSAGE_FIELDS))
    yield from list_json("hooks", iterate_rows(Hook.objects.filter(endpoint_id=instance.pk), HOOK_FIELDS))
    yield from list_json(
        "captures", iterate_rows(Capture.objects.filter(bin__instance=instance), CAPTURE_FIELDS)
    )
    yield "}"


def list_json(name: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f', "{name}": ['
    for place, row in enumerate(items):
        yield (",\n" if place else "\n") + as_json(row)
    yield "]"


def iterate_rows(queryset: QuerySet[Any, Model], fields: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """All rows, by key, ROWS_PER_QUERY at a time: no transaction stays open while a client's connection is slow."""
    after = 0
    while found := list(queryset.filter(pk__gt=after).order_by("pk").values("pk", *fields)[:ROWS_PER_QUERY]):
        for row in found:
            after = row.pop("pk")
            yield row
