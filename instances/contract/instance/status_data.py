"""`statusData`: the status in words, and the buttons that apply now (contract.md §4).

Clients show these texts on their own pages, so they are the contract's meanings. The texts of this site's pages are in
instances/pages/status_texts.py.
"""

from typing import Any, NamedTuple

from django.conf import settings

from instances.models import NOT_PAID, AccountStatus, Instance, LoadingReason, Substatus


class StatusText(NamedTuple):
    title: str
    msg: str
    submsg: str = ""


BATTERY_LOW = (Substatus.BATTERY_LOW, Substatus.BATTERY_LOW_1, Substatus.BATTERY_LOW_2)
BATTERY_IS_LOW, BATTERY_IS_VERY_LOW = 20, 5  # percent

LOW_BATTERY = StatusText("Low battery", "The phone's battery is low.", "Charge the phone.")
# The substatus of an authenticated account. `syncing` means the same while the account is loading.
SUBSTATUS_TEXTS = {
    Substatus.NORMAL: StatusText(
        "Connected", "Everything is fine.", "Keep the phone connected to the internet."
    ),
    Substatus.PHONE: StatusText(
        "Phone not connected", "The phone is not connected.", "Check its connection to the internet."
    ),
    Substatus.COMPUTER: StatusText("Connecting to the phone", "Trying to reach the phone."),
    Substatus.OFFLINE: StatusText("Server not connected", "This computer is not connected."),
    Substatus.BATTERY_LOW: LOW_BATTERY,
    Substatus.BATTERY_LOW_1: LOW_BATTERY,
    Substatus.BATTERY_LOW_2: LOW_BATTERY,
    Substatus.SYNCING: StatusText("Synchronising", "Synchronisation is under way."),
    Substatus.LOADING: StatusText("Loading", "The messenger is being loaded."),
    Substatus.EXPIRED: StatusText("Expired", "The session has expired.", "Scan a new code."),
    Substatus.OPENING: StatusText("Opening", "The messenger is being opened."),
    Substatus.PAIRING: StatusText("Pairing", "The phone is being paired."),
    Substatus.TIMEOUT: StatusText("Timeout", "The phone did not respond in time."),
}
STATUS_TEXTS = {
    NOT_PAID: StatusText("Not paid", "The instance is not paid.", "Pay for it in your account."),
    AccountStatus.INIT: StatusText("Starting", "The instance is being started."),
    AccountStatus.GOT_QR_CODE: StatusText("Scan the code", "Scan the QR code with your phone."),
}
STOPPED = StatusText(
    "Stopped",
    "The instance is stopped: messages are neither sent nor received.",
    "Ask the operator of this site.",
)
EXPIRED_CODE = StatusText("Code expired", "The QR code has expired.", "Ask for a new one.")
# The reason for loading, if known.
REASON_TEXTS = {
    LoadingReason.CONNECTING: StatusText("Loading", "The messenger is being loaded."),
    LoadingReason.SYNCING: SUBSTATUS_TEXTS[Substatus.SYNCING],
    LoadingReason.OFFLINE: SUBSTATUS_TEXTS[Substatus.OFFLINE],
    LoadingReason.PROXYBLOCK: StatusText(
        "Proxy blocked",
        "The messenger can't be reached through the proxy.",
        "Check the proxy in the settings.",
    ),
    LoadingReason.CONFLICT: StatusText(
        "Open elsewhere", "The account is open in another browser.", "Take it over to continue here."
    ),
}


def status_data(instance: Instance) -> dict[str, Any]:
    """`{"substatus","title","msg","submsg","reason","actions"}`; there is no `reason` unless it is loading.

    Clients know a low battery and the synchronisation in this reply by other words than in hooks and in the history.
    """
    reason = shown_reason(instance)
    return {
        "substatus": shown_substatus(instance),
        **status_text(instance)._asdict(),
        **({"reason": reason} if reason else {}),
        "actions": applicable_buttons(instance),
    }


def shown_substatus(instance: Instance) -> str:
    """`battery_low_1`, or `battery_low_2` under 5 %, while the battery is low; `loading` while syncing."""
    if shown_reason(instance) == LoadingReason.SYNCING:
        return Substatus.LOADING.value
    is_low = instance.substatus in BATTERY_LOW
    if is_low and (instance.substatus == Substatus.BATTERY_LOW or instance.battery <= BATTERY_IS_LOW):
        is_very_low = instance.battery < BATTERY_IS_VERY_LOW
        return (Substatus.BATTERY_LOW_2 if is_very_low else Substatus.BATTERY_LOW_1).value
    return instance.substatus


def status_text(instance: Instance) -> StatusText:
    status, substatus = instance.shown_status, Substatus(instance.substatus)
    if instance.is_stopped:
        return STOPPED
    if status == AccountStatus.AUTHENTICATED:
        return SUBSTATUS_TEXTS[substatus]
    if status == AccountStatus.LOADING:
        return REASON_TEXTS[LoadingReason(instance.shown_loading_reason)]
    if status == AccountStatus.GOT_QR_CODE and instance.is_expired:
        return EXPIRED_CODE
    return STATUS_TEXTS[status]


def shown_reason(instance: Instance) -> str:
    """Why it is loading, or `syncing` of an authenticated account that synchronises; empty if there is no reason."""
    if not instance.is_paid:
        return ""
    if instance.is_authenticated and instance.substatus == Substatus.SYNCING:
        return LoadingReason.SYNCING.value
    return instance.shown_loading_reason


def applicable_buttons(instance: Instance) -> dict[str, dict[str, str]]:
    """The calls that apply now, by name, and a link to the instance's page."""
    labels = {}
    if instance.is_paid:
        if instance.is_expired:
            labels["expiry"] = "Get a new code"
        if instance.is_syncing:
            labels["retry"] = "Retry"
        if instance.is_taken_over:
            labels["takeover"] = "Use here"
        if instance.has_session:
            labels["logout"] = "Log out"
    more = {"label": "Learn more", "link": f"{settings.SITE_URL}{instance.get_absolute_url()}"}
    return {**{act: {"act": act, "label": label} for act, label in labels.items()}, "learn_more": more}
