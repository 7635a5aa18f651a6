"""The history of statuses and hooks; resends a hook (contract.md §2)."""

from typing import Any

from hooks.actions.hooks import NotPossible, resend, try_now
from hooks.models import Hook, Kind, State
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.contract.arguments import text, unix_time
from instances.contract.dates import format_date, from_unix_time
from instances.contract.errors import CallFailed, WireError
from instances.contract.registry import method
from instances.models import AccountStatus, Instance, StatusChange, Substatus

MAX_STATUSES = 10_000
STATUS_WORDS = {
    State.DELIVERED: "sent",
    State.QUEUED: "queued",
    State.SENDING: "queued",
    State.RETRYING: "queued",
}


def flag_is_off(name: str) -> str:
    """The message of the empty reply while the setting is off. Generated SDKs raise on a 400."""
    return f"{name} is off. Switch it on in settings; the history starts then."


@method(
    "instanceStatuses",
    "GET",
    arguments=(unix_time("min_time"), unix_time("max_time")),
)
def instance_statuses(instance: Instance, *, min_time: int | None, max_time: int | None) -> dict[str, Any]:
    """Lists the status changes while `instanceStatuses` was on, oldest first; at most the last 10 000.

    `status` is the accountStatus, or the substatus if that is more specific, such as `phone` or `battery_low`.
    """
    if not instance.instance_statuses:
        return {"data": [], "message": flag_is_off("instanceStatuses")}
    found = StatusChange.objects.filter(instance=instance)
    if min_time is not None:
        found = found.filter(at__gte=from_unix_time(min_time))
    if max_time is not None:
        found = found.filter(at__lt=from_unix_time(max_time + 1))  # includes the whole second
    changes = list(found.order_by("-at", "-id")[:MAX_STATUSES])
    return {
        "data": [
            {"date": format_date(change.at), "status": status_word(change)} for change in reversed(changes)
        ]
    }


def status_word(change: StatusChange) -> str:
    status, substatus = AccountStatus(change.account_status), Substatus(change.substatus)
    return str(status if substatus == Substatus.NORMAL else substatus)


def latest_hook(instance: Instance, message_id: str) -> Hook | None:
    """The most recent hook of this message to the first endpoint that is not simulated."""
    hooks = Hook.objects.of_first_endpoint(instance.pk).filter(
        kind=Kind.MESSAGE, message=message_id, simulated=False
    )
    return hooks.order_by("-pk").first() if message_id else None


@method(
    "webhookStatus",
    "GET",
    arguments=(text("msgId", "the id of a message", default="", max_length=MESSAGE_ID_LENGTH),),
)
def webhook_status(instance: Instance, *, msg_id: str) -> dict[str, Any]:
    """Returns whether the hook of this message was delivered, and since when (`time`, unix seconds)."""
    if not instance.webhook_statuses:
        return {"msgId": msg_id, "time": None, "status": None, "message": flag_is_off("webhookStatuses")}
    hook = latest_hook(instance, msg_id)
    if hook is None:
        raise WireError(404, "No hook was found for this `msgId`.")
    at = hook.finished_at or hook.created_at
    return {
        "msgId": msg_id,
        "time": int(at.timestamp()),
        "status": STATUS_WORDS.get(State(hook.state), "not sent"),
    }


@method(
    "repeatHook",
    "POST",
    failure_key="success",
    arguments=(text("messageId", "the id of a message", default="", max_length=MESSAGE_ID_LENGTH),),
)
def repeat_hook(instance: Instance, *, message_id: str) -> dict[str, Any]:
    """Resends the hook of this message with its old `webhook-id`. A hook waiting for a retry is sent immediately."""
    hook = latest_hook(instance, message_id)
    if hook is None:
        raise CallFailed("No hook was found for this `messageId`.")
    try:
        if hook.is_finished:
            resend(hook, acting_user=None)
        elif hook.state == State.RETRYING:
            try_now(hook, acting_user=None)
    except NotPossible as error:
        raise CallFailed(str(error)) from None
    return {"success": True, "message": "The hook is queued.", "messageId": message_id}
