"""`statusData`: the status in words, and which buttons apply now (contract.md, section 4).

The words are for the client's own pages, so they are the contract's meanings; what the pages of this
site say stands in instances/statuses.py.
"""

from typing import Any, NamedTuple

from django.conf import settings

from instances.models import NOT_PAID, AccountStatus, Instance, Substatus


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
    AccountStatus.LOADING: Words("Loading", "The messenger is being loaded."),
    AccountStatus.GOT_QR_CODE: Words("Scan the code", "Scan the QR code with your phone."),
}
EXPIRED_CODE = Words("Code expired", "The QR code has expired.", "Ask for a new one.")
# While loading: the substatus that says why it takes so long.
REASONS = {Substatus.SYNCING: "syncing", Substatus.OFFLINE: "offline"}


def status_data(instance: Instance) -> dict[str, Any]:
    """`{"substatus","title","msg","submsg","reason","actions"}`; `reason` is None unless loading."""
    status = instance.shown_status
    expired = status == AccountStatus.GOT_QR_CODE and instance.substatus == Substatus.EXPIRED
    syncing = status == AccountStatus.LOADING and instance.substatus == Substatus.SYNCING
    if status == AccountStatus.AUTHENTICATED or syncing:
        words = SUBSTATUS_WORDS[Substatus(instance.substatus)]
    else:
        words = EXPIRED_CODE if expired else STATUS_WORDS[status]
    return {
        "substatus": instance.substatus,
        **words._asdict(),
        "reason": reason_of(instance),
        "actions": buttons(instance, expired=expired),
    }


def reason_of(instance: Instance) -> str | None:
    if instance.shown_status != AccountStatus.LOADING:
        return None
    return REASONS.get(Substatus(instance.substatus), "connecting")


def buttons(instance: Instance, *, expired: bool) -> dict[str, dict[str, str]]:
    """The calls that apply now, by name, and where to read more."""
    applying = {}
    if expired:
        applying["expiry"] = "Get a new code"
    if reason_of(instance) == "syncing":
        applying["retry"] = "Retry"
    if instance.shown_status == AccountStatus.AUTHENTICATED:
        applying["logout"] = "Log out"
    more = {"label": "Learn more", "link": f"{settings.SITE_URL}{instance.get_absolute_url()}"}
    return {**{act: {"act": act, "label": label} for act, label in applying.items()}, "learn_more": more}
