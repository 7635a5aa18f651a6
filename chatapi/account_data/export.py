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
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account
from accounts.reauthentication import password_required
from accounts.views.account import own_account
from chatapi.account_data import contents
from instances.actions.settings import read_settings
from instances.models import Instance


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
    """The file piece by piece: `account`, `not_contained`, the lists of contents.py, `history` and `instances`."""
    yield "{\n" + f'"account": {as_json(account_fields(account))}'
    yield f',\n"not_contained": {as_json(contents.LACKING)}'
    for table in contents.account_tables():
        yield from list_json(table.name, contents.iterate_rows(table, account))
    yield from list_json("history", contents.history(account))
    yield ',\n"instances": ['
    for place, instance in enumerate(
        Instance.objects.of_account(account).select_related("endpoint").order_by("pk")
    ):
        yield ",\n" if place else "\n"
        yield from instance_json(instance)
    yield "\n]}\n"


def account_fields(account: Account) -> dict[str, Any]:
    owner = account.owner
    return {
        "email": owner.email,
        "name": account.name,
        "created_at": account.created_at,
        "blocked_at": account.blocked_at,
        "joined_at": owner.date_joined,
        "last_sign_in": owner.last_login,
        "time_zone": owner.time_zone,
    }


def instance_json(instance: Instance) -> Iterator[str]:
    """One instance, without its token and signing secrets."""
    fields = {
        "number": instance.number,
        "name": instance.name,
        "channel": instance.channel,
        "status": instance.account_status,
        "phone": instance.phone,
        "account_chat_id": instance.account_chat_id,
        "profile_name": instance.profile_name,
        "profile_status": instance.profile_status,
        "paid_until": instance.expires_at,
        "created_at": instance.created_at,
        "stopped_at": instance.stopped_at,
        "settings": read_settings(instance),
        "ban_settings": {"banPhoneMask": instance.ban_phone_mask, "preBanMessage": instance.pre_ban_message},
    }
    yield as_json(fields)[:-1]
    for table in contents.instance_tables():
        yield from list_json(table.name, contents.iterate_rows(table, instance))
    yield "}"


def list_json(name: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f',\n"{name}": ['
    for place, row in enumerate(items):
        yield (",\n" if place else "\n") + as_json(row)
    yield "]"
