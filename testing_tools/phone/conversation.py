"""What the two phones of the sandbox show: who there is, the chat as either side sees it, and the hooks of a touch.

Reads only; every touch goes through the actions that REST uses too (testing_tools/phone/action_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from django.db.models import QuerySet, prefetch_related_objects

from hooks import explain
from hooks.models import Hook
from instances import chat_ids
from instances.channels.sandbox.behaviour import contact_behaviours
from instances.models import (
    AccountStatus,
    Ack,
    Chat,
    Instance,
    LoadingReason,
    Message,
    MessageType,
    SandboxContact,
    Substatus,
)
from instances.pages.messages import conversations
from instances.pages.messages.conversations import Bubble

PEOPLE_SHOWN = 100  # chats, and contacts without one, in the list to choose from
HOOKS_SHOWN = 12  # of one touch; the log has them all
WATCHED = 100  # of the newest messages: their ticks stay true
STRANGER = "17680561234@c.us"  # whose phone it is when there is nobody yet


class Person(NamedTuple):
    """A line of the list to choose from: a contact or a group."""

    chat_id: str
    name: str
    is_group: bool


class Scene(NamedTuple):
    """The chat that both phones show. `who` holds the contact's phone: in a group one of its `members`."""

    chat_id: str
    chat: Chat | None
    who: SandboxContact
    members: Sequence[SandboxContact]

    @property
    def is_group(self) -> bool:
        return chat_ids.is_group(self.chat_id)

    @property
    def name(self) -> str:
        if self.chat is not None and (self.chat.name or self.is_group):
            return conversations.name_of(self.chat)
        return called(self.who)


class Row(NamedTuple):
    """A message as both phones know it. `arrived`: is it on the contact's phone? `read`: has the account read it?"""

    bubble: Bubble
    arrived: bool
    read: bool

    @property
    def path(self) -> str:
        """Of the file that it carries, on this site: pages show no picture from elsewhere."""
        media = self.bubble.message.media
        return urlsplit(media.link).path if media else ""

    @property
    def is_picture(self) -> bool:
        return bool(self.path) and self.bubble.message.type in (MessageType.IMAGE, MessageType.STICKER)

    @property
    def is_sound(self) -> bool:
        return bool(self.path) and self.bubble.message.type in (MessageType.PTT, MessageType.AUDIO)

    @property
    def there(self) -> str:
        """The tick of a message that the contact has written."""
        return "read" if self.read else "delivered"


class Made(NamedTuple):
    """The hooks since a touch, oldest first, each with its sentence; how many more; the cursor of all that."""

    hooks: list[tuple[Hook, str]]
    more: int
    cursor: str


def called(contact: SandboxContact) -> str:
    """Their name, else their number as people write it."""
    return contact.name or f"+{chat_ids.digits(contact.chat_id)}"


def people(instance: Instance) -> list[Person]:
    """The chats, newest first, and the contacts that have none yet. Two queries."""
    chats = list(
        Chat.objects.filter(instance=instance, left_at=None).order_by("-last_time", "-pk")[:PEOPLE_SHOWN]
    )
    contacts = list(SandboxContact.objects.filter(instance=instance)[:PEOPLE_SHOWN])
    names = {contact.chat_id: contact.name for contact in contacts}
    found = [
        Person(chat.chat_id, names.get(chat.chat_id) or conversations.name_of(chat), chat.is_group)
        for chat in chats
    ]
    known = {person.chat_id for person in found}
    found += [
        Person(contact.chat_id, called(contact), False)
        for contact in contacts
        if contact.chat_id not in known
    ]
    return found


def scene(instance: Instance, chat_id: str, who: str = "") -> Scene:
    """The chat with this id, which need not be there yet; `who` is the member of a group whose phone it is.

    Raises chat_ids.BadChatId. Three queries at most.
    """
    chat_id = chat_ids.of_chat(chat_id)
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    if not chat_ids.is_group(chat_id):
        known = contact_behaviours(instance, [chat_id])
        name = chat.name if chat else ""
        contact = known.get(chat_id) or SandboxContact(instance=instance, chat_id=chat_id)
        contact.name = contact.name or name  # shown, not kept
        return Scene(chat_id, chat, contact, [])
    ids = [] if chat is None else list(chat.participants.order_by("pk").values_list("member", flat=True))
    ids = [each for each in ids if each != instance.own_chat_id]
    known = contact_behaviours(instance, ids)
    members = [known.get(each) or SandboxContact(instance=instance, chat_id=each) for each in ids]
    holder = next((member for member in members if member.chat_id == who), None)
    nobody = SandboxContact(instance=instance, chat_id=STRANGER)
    return Scene(chat_id, chat, holder or (members[0] if members else nobody), members)


def first_chat(found: Sequence[Person]) -> str:
    """Whose phone is shown when the address names nobody."""
    return found[0].chat_id if found else STRANGER


def rows(chat: Chat | None, *, after: int | None = None) -> list[Row]:
    """The newest messages, or all that came after a number, as many as one poll brings. Two queries."""
    if chat is None:
        return []
    most = conversations.NEWS_AT_ONCE if after is not None else 0
    bubbles, _ = conversations.bubbles_of(chat, after=after, most=most)
    prefetch_related_objects([bubble.message for bubble in bubbles], "media")
    return [
        Row(bubble, has_arrived(chat, bubble.message), bubble.message.number <= chat.read_number)
        for bubble in bubbles
    ]


def has_arrived(chat: Chat, message: Message) -> bool:
    """Is it on the contact's phone? In a group everybody is taken to have what was sent, as REST does it."""
    return not message.from_me or (message.ack or Ack.SENT) >= (Ack.SENT if chat.is_group else Ack.DELIVERED)


def states(chat: Chat | None, up_to: int) -> list[list[object]]:
    """Of the newest messages up to a number: [number, tick, has it arrived, is it deleted]. One query.

    The tick is a word: of what went out as the messenger tells it, of what came in whether the account has read it.
    """
    if chat is None:
        return []
    newest = Message.objects.filter(chat=chat, number__lte=up_to).order_by("-number")
    found: list[list[object]] = []
    for message in newest.only("number", "from_me", "ack", "deleted_at")[:WATCHED]:
        tick = (
            conversations.TICKS[message.ack]
            if message.from_me
            else "read"
            if message.number <= chat.read_number
            else "delivered"
        )
        found.append([message.number, tick, has_arrived(chat, message), message.deleted_at is not None])
    return found


def unread_there(scene: Scene) -> QuerySet[Message]:
    """What the account has sent into this chat and nobody has read."""
    return Message.objects.filter(chat=scene.chat, from_me=True, ack__lt=Ack.VIEWED, deleted_at=None)


def newest_hook(instance: Instance) -> int:
    """The key of the instance's newest hook: what comes after it is of the touch that follows."""
    newest = Hook.objects.filter(endpoint_id=instance.pk).order_by("-pk").values_list("pk", flat=True)
    return newest.first() or 0


def made_since(instance: Instance, since: int) -> Made:
    """The hooks that events have made after `since` (newest_hook). One query, a second where they are many."""
    found = Hook.objects.filter(endpoint_id=instance.pk, pk__gt=since, simulated=False)
    listed = list(found.defer("body").order_by("pk")[: HOOKS_SHOWN + 1])
    more = found.count() - HOOKS_SHOWN if len(listed) > HOOKS_SHOWN else 0
    shown = listed[:HOOKS_SHOWN]
    facts = [(hook.pk, hook.state, hook.attempts_made) for hook in shown]
    return Made(
        [(hook, explain.explain_hook(hook)) for hook in shown], more, conversations.digest([facts, more])
    )


class State(NamedTuple):
    """The instance's own phone in words: how it stands with the messenger, and what can happen to it now."""

    word: str
    sentence: str
    is_good: bool
    events: Sequence[tuple[str, str, str]]  # of actions.PHONE_EVENTS: event, label, icon


SCAN = ("scan", "Scan the QR code", "qrcode")
LOG_OUT = ("log_out", "Log out", "logout")
LOSE = ("disconnect", "Lose the network", "wifi-off")
FIND = ("connect", "Back on the network", "wifi")
TAKE_OVER = ("take_over", "Another computer takes over", "device-desktop")
TAKE_BACK = ("take_back", "Take it back", "device-desktop")
SYNC = ("sync", "Begin to synchronise", "refresh")
SYNCED = ("synced", "Synchronising is done", "circle-check")


def state_of(instance: Instance) -> State:
    """What the phone says, and the buttons that apply."""
    if instance.account_status == AccountStatus.AUTHENTICATED:
        if instance.substatus in (Substatus.PHONE, Substatus.OFFLINE):
            return State(
                "No network", "What is to go out waits, and nobody reaches the account.", False,
                (FIND, TAKE_OVER, LOG_OUT),
            )  # fmt: skip
        if instance.substatus == Substatus.COMPUTER:
            return State(
                "Looking for the phone", "The computer tries to reach this phone.", False, (FIND, LOG_OUT)
            )
        return State(
            "Connected",
            "Linked to the instance; messages go in and out.",
            True,
            (LOSE, TAKE_OVER, SYNC, LOG_OUT),
        )
    if instance.account_status == AccountStatus.GOT_QR_CODE:
        return State("Not linked", "The instance shows a QR code and waits for this phone.", False, (SCAN,))
    if instance.shown_loading_reason == LoadingReason.CONFLICT:
        return State(
            "In use elsewhere", "Another computer has taken the session over.", False, (TAKE_BACK, LOG_OUT)
        )
    if instance.shown_loading_reason == LoadingReason.SYNCING:
        return State(
            "Synchronising", "Chats are being brought over; messages wait.", False, (SYNCED, LOG_OUT)
        )
    if instance.account_status == AccountStatus.LOADING:
        return State("Connecting", "The messenger is starting.", False, (SYNCED, LOG_OUT))
    return State("Starting", "The instance is being prepared; a QR code follows.", False, ())
