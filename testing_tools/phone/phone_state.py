"""The state of the instance's own phone in words, and the events that are possible in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from instances.models import AccountStatus, Instance, Substatus


class EventButton(NamedTuple):
    """`event` is one of PHONE_EVENTS, or "take_back"; `result` is the sentence shown after the event."""

    event: str
    label: str
    icon: str
    result: str


class PhoneState(NamedTuple):
    word: str
    sentence: str
    is_connected: bool
    buttons: Sequence[EventButton]


SCAN = EventButton("scan", "Scan QR code", "qrcode", "QR code scanned.")
LOG_OUT = EventButton("log_out", "Log out", "logout", "Logged out.")
DISCONNECT = EventButton("disconnect", "Disconnect network", "wifi-off", "Network disconnected.")
CONNECT = EventButton("connect", "Connect network", "wifi", "Network connected.")
TAKE_OVER = EventButton(
    "take_over", "Take over on another computer", "device-desktop", "Another computer took over the session."
)
TAKE_BACK = EventButton("take_back", "Take back session", "device-desktop", "Session taken back.")
SYNC = EventButton("sync", "Start synchronising", "refresh", "Synchronising started.")
SYNCED = EventButton("synced", "Finish synchronising", "circle-check", "Synchronising finished.")
EVENT_BUTTONS = {
    button.event: button
    for button in (SCAN, LOG_OUT, DISCONNECT, CONNECT, TAKE_OVER, TAKE_BACK, SYNC, SYNCED)
}

CONNECTED_STATE = PhoneState(
    "Connected",
    "Linked to the instance; messages are sent and received.",
    True,
    (DISCONNECT, TAKE_OVER, SYNC, LOG_OUT),
)
NO_NETWORK = PhoneState(
    "No network",
    "Messages wait in the queue, and contacts cannot reach the account.",
    False,
    (CONNECT, TAKE_OVER, LOG_OUT),
)
SEARCHING = PhoneState(
    "Connecting to the phone", "The computer is trying to reach this phone.", False, (CONNECT, LOG_OUT)
)
NOT_LINKED = PhoneState(
    "Not linked", "The instance shows a QR code. Scan it with this phone.", False, (SCAN,)
)
TAKEN_OVER = PhoneState(
    "In use elsewhere", "Another computer has taken over the session.", False, (TAKE_BACK, LOG_OUT)
)
SYNCHRONISING = PhoneState(
    "Synchronising", "Chats are being loaded; messages wait.", False, (SYNCED, LOG_OUT)
)
CONNECTING = PhoneState("Connecting", "The messenger is starting.", False, (SYNCED, LOG_OUT))
STARTING = PhoneState("Starting", "The instance is being prepared; a QR code will be shown next.", False, ())


def describe_phone(instance: Instance) -> PhoneState:
    """Returns the state of the phone, with a button for each event that is possible now."""
    if instance.account_status == AccountStatus.AUTHENTICATED:
        if instance.substatus in (Substatus.PHONE, Substatus.OFFLINE):
            return NO_NETWORK
        return SEARCHING if instance.substatus == Substatus.COMPUTER else CONNECTED_STATE
    if instance.account_status == AccountStatus.GOT_QR_CODE:
        return NOT_LINKED
    if instance.is_taken_over:
        return TAKEN_OVER
    if instance.is_syncing:
        return SYNCHRONISING
    return CONNECTING if instance.account_status == AccountStatus.LOADING else STARTING
