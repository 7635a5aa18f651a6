"""What has become of statuses and hooks, and a hook once more (contract.md, section 2)."""

from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from hooks.actions.hooks import NotPossible, resend, try_now
from hooks.models import Hook, Kind, State
from instances.contract.arguments import text, unix_time
from instances.contract.dates import moment, wire_date
from instances.contract.errors import Refused, WireError
from instances.contract.registry import method
from instances.models import AccountStatus, Instance, StatusChange, Substatus

STATUSES_AT_MOST = 10_000
ID_LENGTH = 200  # characters
WORDS = {State.DELIVERED: "sent", State.QUEUED: "queued", State.SENDING: "queued", State.RETRYING: "queued"}


def must_be_on(flag: bool, name: str) -> None:
    if not flag:
        raise WireError(400, f"{name} is off. Switch it on in settings; it counts from then on.")


@method(
    "instanceStatuses",
    "GET",
    arguments=(unix_time("min_time"), unix_time("max_time")),
)
def instance_statuses(instance: Instance, *, min_time: int | None, max_time: int | None) -> dict[str, Any]:
    """The changes of the status while `instanceStatuses` was on, oldest first; at most the last 10 000.

    `status` is the accountStatus, or the substatus where that says more, such as `phone` or `battery_low`.
    """
    must_be_on(instance.instance_statuses, "instanceStatuses")
    found = StatusChange.objects.filter(instance=instance)
    if min_time is not None:
        found = found.filter(at__gte=moment(min_time))
    if max_time is not None:
        found = found.filter(at__lt=moment(max_time + 1))  # the whole of that second
    changes = list(found.order_by("-at", "-id")[:STATUSES_AT_MOST])
    return {"data": [{"date": wire_date(change.at), "status": word(change)} for change in reversed(changes)]}


def word(change: StatusChange) -> str:
    status, substatus = AccountStatus(change.account_status), Substatus(change.substatus)
    return str(status if substatus == Substatus.NORMAL else substatus)


def hook_of(instance: Instance, message_id: str) -> Hook | None:
    """The last hook of that message, but for those that were made by hand."""
    made = Hook.objects.filter(
        endpoint_id=instance.pk, kind=Kind.MESSAGE, message=message_id, simulated=False
    )
    return made.order_by("-pk").first() if message_id else None


@method("webhookStatus", "GET", arguments=(text("msgId", "the id of a message", default="", most=ID_LENGTH),))
def webhook_status(instance: Instance, *, msg_id: str) -> dict[str, Any]:
    """Whether the hook of that message has arrived; `time` in unix seconds is when that was known."""
    must_be_on(instance.webhook_statuses, "webhookStatuses")
    hook = hook_of(instance, msg_id)
    if hook is None:
        raise WireError(404, "There is no hook of a message with this msgId.")
    at = hook.finished_at or hook.created_at
    return {"msgId": msg_id, "time": int(at.timestamp()), "status": WORDS.get(State(hook.state), "not sent")}


@method(
    "repeatHook",
    "POST",
    refusal="success",
    arguments=(text("messageId", "the id of a message", default="", most=ID_LENGTH),),
)
def repeat_hook(instance: Instance, *, message_id: str) -> dict[str, Any]:
    """Queues the hook of that message again, under its old `webhook-id`; one that waits for a retry goes at once."""
    hook = hook_of(instance, message_id)
    if hook is None:
        raise Refused("There is no hook of a message with this messageId.")
    try:
        with transaction.atomic():
            if hook.is_finished:
                resend(hook, acting_user=None)
                audit.record(instance, AuditAction.HOOK_RESENT, acting_user=None, hook=hook.webhook_id)
            elif hook.state == State.RETRYING:
                try_now(hook, acting_user=None)
                audit.record(instance, AuditAction.HOOK_TRIED_NOW, acting_user=None, hook=hook.webhook_id)
    except NotPossible as error:
        raise Refused(str(error)) from None
    return {"success": True, "message": "The hook is queued.", "messageId": message_id}
