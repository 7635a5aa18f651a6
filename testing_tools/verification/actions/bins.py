"""Writes to bins: create on first use, configure the response, and delete."""

from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, User
from hooks.models import Endpoint
from instances.models import Instance
from testing_tools.verification import responses
from testing_tools.verification.models import Bin
from testing_tools.verification.responses import ConfiguredResponse, Preset


class BinInUse(ValueError):
    """A verification sends hooks to the bin."""


def open_bin(instance: Instance) -> Bin:
    """Returns the instance's bin, created on first use."""
    return Bin.objects.get_or_create(instance=instance)[0]


def open_own_bin(account: Account) -> Bin:
    """Returns the account's own bin ("My bin"), which belongs to no instance; created on first use."""
    return Bin.objects.get_or_create(account=account)[0]


@transaction.atomic
def delete_bin(bin: Bin, *, acting_user: User | None) -> None:
    """Delete the bin with its captures and links, unless it was deleted before.

    Its URL responds 404; the next open_bin() creates another one.

    Raises:
        BinInUse: a verification sends hooks to it.
    """
    if bin.instance_id:
        # Locked, so that no verification starts meanwhile.
        endpoint = Endpoint.objects.select_for_update().get(first_of=bin.instance_id)
        if endpoint.is_overridden():
            raise BinInUse("A verification sends the hooks of the instance to this bin. Stop it first.")
    if not Bin.objects.select_for_update().filter(pk=bin.pk).exists():
        return
    audit.record(bin, AuditAction.BIN_DELETED, acting_user=acting_user, requests=bin.captures.count())
    bin.delete()


@transaction.atomic
def set_response(bin: Bin, *, response: ConfiguredResponse, acting_user: User | None) -> None:
    """Set the bin's response; configured failures count from the next request."""
    # Locked, so that no capture raises the number between this read and the save.
    row = Bin.objects.select_for_update().get(pk=bin.pk)
    row.answer_status, row.answer_body, row.answer_delay = response.status, response.body, response.delay
    row.answer_headers = [list(pair) for pair in response.headers]
    row.answer_cors = response.cors
    row.fail_first = response.fail_first
    row.fail_through = row.captured + response.fail_first if response.fail_first else 0
    changed = [
        "answer_status", "answer_body", "answer_delay", "answer_headers", "answer_cors", "fail_first",
        "fail_through",
    ]  # fmt: skip
    row.save(update_fields=changed)
    bin.refresh_from_db(fields=[*changed, "captured"])
    audit.record(
        bin,
        AuditAction.BIN_RESPONSE_CHANGED,
        acting_user=acting_user,
        answer=responses.describe_response(bin),
    )


@transaction.atomic
def apply_preset(bin: Bin, *, preset: Preset, acting_user: User | None) -> None:
    """Set the preset's response; whether scripts of other sites may call the bin stays as it is."""
    cors = Bin.objects.select_for_update().get(pk=bin.pk).answer_cors
    set_response(bin, response=preset.response._replace(cors=cors), acting_user=acting_user)


@transaction.atomic
def change_response(bin: Bin, *, fields: dict[str, Any], acting_user: User | None) -> None:
    """Set these fields of ConfiguredResponse; the others stay, also if another call changes them now.

    Raises:
        InvalidResponse: with the invalid field; nothing is changed.
    """
    present = ConfiguredResponse.of(Bin.objects.select_for_update().get(pk=bin.pk))
    set_response(bin, response=responses.checked(present._replace(**fields)), acting_user=acting_user)
