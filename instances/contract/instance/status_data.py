"""`statusData`: the status in words, and which buttons apply now (contract.md, section 4).

The words are for the client's own pages, so they are the contract's meanings; what the pages of this
site say stands in instances/pages/status_texts.py.
"""

from typing import Any, NamedTuple

from django.conf import settings

from instances.models import NOT_PAID, AccountStatus, Instance, LoadingReason, Substatus


class Words(NamedTuple):
    title: str
    msg: str
    submsg: str = ""


LOW_BATTERY = Words("Low battery", "The phone's battery is low.", "Charge the phone.")
# What an authenticated account's substatus means; `syncing` means the same while it is loading.
SUBSTATUS_WORDS = {
    Substatus.NORMAL: Words("Connected", "Everything is fine.", "Keep the phone connected to the internet."),
    Substatus.PHONE: Words(
        "Phone not connected", "The phone is not connected.", "Check its connection to the internet."
    ),
    Substatus.COMPUTER: Words("Connecting to the phone", "Trying to reach the phone."),
    Substatus.OFFLINE: Words("Server not connected", "This computer is not connected."),
    Substatus.BATTERY_LOW: LOW_BATTERY,
    Substatus.BATTERY_LOW_1: LOW_BATTERY,
    Substatus.BATTERY_LOW_2: LOW_BATTERY,
    Substatus.SYNCING: Words("Synchronising", "Synchronisation is under way."),
    Substatus.LOADING: Words("Loading", "The messenger is being loaded."),
    Substatus.EXPIRED: Words("Expired", "The session has expired.", "Scan a new code."),
    Substatus.OPENING: Words("Opening", "The messenger is being opened."),
    Substatus.PAIRING: Words("Pairing", "The phone is being paired."),
    Substatus.TIMEOUT: Words("Timeout", "The phone did not answer in time."),
}
STATUS_WORDS = {
    NOT_PAID: Words("Not paid", "The instance is not paid.", "Pay for it in your account."),
    AccountStatus.INIT: Words("Starting", "The instance is being started."),
    AccountStatus.GOT_QR_CODE: Words("Scan the code", "Scan the QR code with your phone."),
}
STOPPED = Words("Stopped", "The instance is stopped: nothing goes in or out.", "Ask whoever runs this site.")
EXPIRED_CODE = Words("Code expired", "The QR code has expired.", "Ask for a new one.")
# Why it is loading, where more than that is known.
REASON_WORDS = {
    LoadingReason.CONNECTING: Words("Loading", "The messenger is being loaded."),
    LoadingReason.SYNCING: SUBSTATUS_WORDS[Substatus.SYNCING],
    LoadingReason.OFFLINE: SUBSTATUS_WORDS[Substatus.OFFLINE],
    LoadingReason.PROXYBLOCK: Words(
        "Proxy blocked",
        "The messenger can't be reached through the proxy.",
        "Check the proxy in the settings.",
    ),
    LoadingReason.CONFLICT: Words(
        "Open elsewhere", "The account is open in another browser.", "Take it over to go on here."
    ),
}


def status_data(instance: Instance) -> dict[str, Any]:
    """`{"substatus","title","msg","submsg","reason","actions"}`; `reason` is None unless loading."""
    return {
        "substatus": instance.substatus,
        **words_of(instance)._asdict(),
        "reason": reason_of(instance),
        "actions": buttons(instance),
    }


def words_of(instance: Instance) -> Words:
    status, substatus = instance.shown_status, Substatus(instance.substatus)
    if instance.is_stopped:
        return STOPPED
    if status == AccountStatus.AUTHENTICATED:
        return SUBSTATUS_WORDS[substatus]
    if status == AccountStatus.LOADING:
        return REASON_WORDS[LoadingReason(instance.why_loading)]
    if status == AccountStatus.GOT_QR_CODE and substatus == Substatus.EXPIRED:
        return EXPIRED_CODE
    return STATUS_WORDS[status]


def reason_of(instance: Instance) -> str | None:
    return instance.why_loading or None if instance.is_paid else None


def buttons(instance: Instance) -> dict[str, dict[str, str]]:
    """The calls that apply now, by name, and where to read more."""
    applying = {}
    if instance.is_paid:
        if instance.substatus == Substatus.EXPIRED:
            applying["expiry"] = "Get a new code"
        if instance.why_loading == LoadingReason.SYNCING:
            applying["retry"] = "Retry"
        if instance.why_loading == LoadingReason.CONFLICT:
            applying["takeover"] = "Use here"
        if instance.account_status in (AccountStatus.AUTHENTICATED, AccountStatus.LOADING):
            applying["logout"] = "Log out"
    more = {"label": "Learn more", "link": f"{settings.SITE_URL}{instance.get_absolute_url()}"}
    return {**{act: {"act": act, "label": label} for act, label in applying.items()}, "learn_more": more}
