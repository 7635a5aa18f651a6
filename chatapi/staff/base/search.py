"""Search texts that the support desk accepts, each found by an index: no search reads a table of millions of rows.

An owner's e-mail address or its beginning, an account's key, an instance's number, its phone in any spelling, its
webhook URL or the host in it, the id of a hook or of a message.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Model, OuterRef, Q, QuerySet, Subquery

from accounts.email_addresses import normal_address
from accounts.models import KEY_PREFIX_LENGTH, Account, AccountKey, User
from chatapi.staff.base.lists import MAX_KEYS, fetch_keys, instance_numbered, parse_number
from chatapi.ui import host_names
from chatapi.ui.numbers import clean_number
from hooks.models import Endpoint, Hook, Lane, parse_webhook_id
from instances import chat_ids
from instances.models import Chat, Instance, Message, OutgoingMessage

ACCOUNT_HELP = "An e-mail address or its beginning, a key or its beginning (uid_…), or an instance's number"


def user_keys(text: str) -> list[int]:
    """The keys of the users whose address begins with the text."""
    return fetch_keys(User.objects.filter(email__startswith=normal_address(text)))


def owned_by(text: str) -> Q:
    """Accounts of the owners whose address begins with the text."""
    return Q(owner__in=user_keys(text))


def accounts_matching(text: str) -> Q:
    """Accounts by their owner's address or its beginning, a key or its beginning, or an instance's number."""
    if text.startswith("uid_"):
        found = AccountKey.objects.filter(prefix__startswith=text[:KEY_PREFIX_LENGTH])
        return Q(pk__in=fetch_keys(found, "account"))
    if parse_number(text) is not None:
        return Q(pk__in=fetch_keys(instance_numbered(text), "owner"))
    return owned_by(text)


def in_accounts(text: str) -> Q:
    """Rows with an `account`, by the same texts."""
    return Q(account__in=fetch_keys(Account.objects.filter(accounts_matching(text))))


INSTANCE_HELP = (
    "A number, a phone, a host, or the beginning of a webhook URL or of the owner's e-mail address"
)
URL = re.compile(r"https?://", re.IGNORECASE)
PHONE_NOISE = re.compile(
    r"\(0\)|[^0-9]"
)  # "+49 (0)151 23-45": without the zero that is not dialled from abroad
PHONE = re.compile(r"[+0-9 ().\-/\u2010-\u2015]+")
MESSAGE_ID = re.compile(r"(true|false)_\S+@\S+_\S+|wamid\.\S+|[A-Za-z0-9_=+-]{16,200}")
SHORTEST_PHONE = 5  # digits


def parse_phone(text: str) -> str:
    """The digits of a phone number or of a part of one; "" for any other text.

    Without the zero before a national number: `0151 12345678` is found as the end of `+49 151 12345678`.

    Accepts `+`, `00`, spaces, dashes, dots, brackets, digits of other scripts, and a chat id (`17680561234@c.us`).
    """
    text = clean_number(text.removesuffix(chat_ids.PERSON))
    text = "".join(str(unicodedata.decimal(letter, letter)) for letter in text)
    if not PHONE.fullmatch(text):
        return ""
    digits = PHONE_NOISE.sub("", text).removeprefix("00").removeprefix("0")
    return digits if len(digits) >= SHORTEST_PHONE else ""


def parse_host(text: str) -> str:
    """A host name with a dot, or an IP address, as in stored URLs; "" for any other text. A port is ignored."""
    if "@" in text or "/" in text or re.search(r"\s", text):
        return ""
    try:
        host = host_names.ascii_host(urlsplit(f"//{text}").hostname or "")
    except ValueError:
        return ""
    return host if "." in host or host.startswith("[") or host == "localhost" else ""


def normal_url(text: str) -> str:
    """The beginning of a URL as it is stored: scheme and host in lower case, the host in A-labels.

    Without credentials, query and fragment: a search for their beginning would reveal them letter by letter.
    """
    scheme, _, rest = text.partition("://")
    authority, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    host = authority.rpartition("@")[2]
    try:
        name, colon, port = host.partition(":")
        host = host_names.ascii_host(name) + colon + port
    except ValueError:
        host = host.lower()
    return f"{scheme.lower()}://{host}{slash}{path}"


def is_address(text: str) -> bool:
    """Whether the text is a part of an e-mail address, and not a chat id."""
    return "@" in text and not text.endswith(chat_ids.PERSON) and not URL.match(text)


def named_instances(text: str) -> list[int]:
    """The keys of the instances with this number, phone, webhook URL, or host of it; else with a part of the phone."""
    if URL.match(text):
        return instances_with_url(normal_url(text))
    if is_address(text):
        return []
    found: list[int] = []
    if parse_number(text) is not None:
        found += fetch_keys(instance_numbered(text))
    if phone := parse_phone(text):
        found += fetch_keys(Instance.objects.filter(phone=phone))
    if host := parse_host(text):
        found += fetch_keys(Endpoint.objects.with_host(host), "instance_id")
    if phone and not found:  # a part of many numbers is also a whole one, or a number of an instance
        found = fetch_keys(Instance.objects.with_part_of_phone(phone))
    return found


def instances_with_url(url: str) -> list[int]:
    """The keys of the instances whose webhook URL begins with this one, of `normal_url`.

    A host has to be whole: after it, a stored URL may have credentials instead of a path.
    """
    found = Endpoint.objects.with_url(url)
    if "/" in url.partition("://")[2]:
        return fetch_keys(found, "instance_id")
    return fetch_keys(found.filter(Q(url=url) | Q(url__startswith=f"{url}/")), "instance_id")


def instances_matching(text: str) -> Q:
    """Instances by number, own phone, webhook URL, host of it, or the owner's address."""
    if found := named_instances(text):
        return Q(pk__in=found)
    if URL.match(text):
        return Q(pk__in=[])
    return Q(owner__in=fetch_keys(Account.objects.filter(owned_by(text))))


def one_of_each(owners: type[Model], rows: QuerySet[Any]) -> list[Any]:
    """The keys of `rows`, at most one per owner; `rows` are filtered by `OuterRef("pk")`, the instance or lane.

    One look-up in an index per owner. An index on a message's id alone would serve nothing else, and cost every
    message that is written.
    """
    probed = owners._default_manager.annotate(found=Subquery(rows.order_by().values("pk")[:1]))
    return list(probed.filter(found__isnull=False).order_by().values_list("found", flat=True)[:MAX_KEYS])


def is_message_id(text: str) -> bool:
    """Whether it may be a message's id: `true_17680561234@c.us_3EB0…`, or another messenger's."""
    return parse_webhook_id(text) is None and MESSAGE_ID.fullmatch(text) is not None


def messages_with_id(text: str) -> list[int]:
    """The keys of the messages with this id, of any instance."""
    return one_of_each(Instance, Message.objects.filter(instance=OuterRef("pk"), message_id=text))


def queued_messages_with_id(text: str) -> list[int]:
    """The keys of the messages in the queues, or failed, with this id, of any instance."""
    return one_of_each(Instance, OutgoingMessage.objects.filter(instance=OuterRef("pk"), message_id=text))


def hooks_of_message(text: str) -> list[int]:
    """The keys of the hooks about the message with this id, of any instance, newest first."""
    one_each = one_of_each(Lane, Hook.objects.filter(endpoint=OuterRef("pk"), message=text))
    lanes = Hook.objects.filter(pk__in=one_each).order_by().values_list("endpoint_id", flat=True)
    return sorted(fetch_keys(Hook.objects.filter(endpoint__in=list(lanes), message=text)), reverse=True)


def chats_with(phone: str) -> list[int]:
    """The keys of the chats with this contact, of any instance."""
    return one_of_each(
        Instance, Chat.objects.filter(instance=OuterRef("pk"), chat_id=phone + chat_ids.PERSON)
    )


def of_instance(text: str) -> Q:
    """Rows with an `endpoint`, by its instance's number."""
    return Q(endpoint__in=fetch_keys(Endpoint.objects.of_instances(instance_numbered(text))))
