"""The kinds of arguments that methods take, as data: tolerance, docs and OpenAPI come from the same lines.

A method lists its arguments by wire name; its function gets them as keywords in Python's spelling
(`quotedMsgId` becomes `quoted_msg_id`), and only those that were given or have a default.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from instances import chat_ids, value_parsing
from instances.contract.errors import BadArgument

NOT_GIVEN: Any = object()


@dataclass(frozen=True)
class Argument:
    """One argument: `read` turns what came into what the function gets, and raises ValueError("a text")."""

    wire: str
    read: Callable[[Any], Any]
    takes: str  # for people: what it is
    schema: Mapping[str, Any] = field(default_factory=dict)  # for OpenAPI
    default: Any = NOT_GIVEN
    required: bool = False
    aliases: Sequence[str] = ()
    keyword: str = ""

    def __post_init__(self) -> None:
        keyword = self.keyword or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.wire).lower()
        object.__setattr__(self, "keyword", keyword)

    @property
    def names(self) -> tuple[str, ...]:
        """The keys it answers to, in lower case."""
        return tuple(name.lower() for name in (self.wire, *self.aliases))

    def value(self, given: Mapping[str, Any]) -> Any:
        """What the function gets; NOT_GIVEN: nothing. Raises BadArgument."""
        for name in self.names:
            if name in given:
                try:
                    return self.read(given[name])
                except chat_ids.BadChatId as error:
                    raise BadArgument(str(error)) from None
                except ValueError as error:
                    raise BadArgument(f"{self.wire} takes {error}") from None
        if self.required:
            raise BadArgument(f"{self.wire} is missing: it takes {self.takes}")
        return self.default


class Several(list[Any]):
    """The values of a key that stands in a query or form more than once; an array, in JSON or as `key[]`, is one."""


def last(value: Any) -> Any:
    """The last of a key that came several times; an array stays one, for whoever judges what a value is."""
    return value[-1] if isinstance(value, Several) else value


def once(value: Any) -> Any:
    """The last of an argument that came several times, where one is wanted."""
    return value[-1] if isinstance(value, list) and value else value


LONGEST_TEXT = 65_536  # characters, where an argument does not say less
MOST_PHONES = 1_000


def text(
    wire: str,
    takes: str = "a text",
    *,
    default: Any = None,
    required: bool = False,
    most: int = LONGEST_TEXT,
) -> Argument:
    """A text of at most `most` characters; null is as if it had not come."""

    def read(value: Any) -> Any:
        if value is None:
            return default
        given = value_parsing.text(once(value))
        if len(given) > most:
            raise ValueError(f"a text of at most {most} characters")
        return given

    return Argument(wire, read, takes, {"type": "string", "maxLength": most}, default, required)


def flag(wire: str, takes: str = "true or false", *, default: bool = False) -> Argument:
    """A boolean; `?full` without a value is true, and null is as if it had not come."""
    return Argument(
        wire,
        lambda value: (
            default if once(value) is None else once(value) == "" or value_parsing.flag(once(value))
        ),
        takes,
        {"type": "boolean"},
        default,
    )


NOTHING = frozenset({"", "null", "undefined", "none"})  # a variable without a value, in an address


def is_nothing(value: Any) -> bool:
    """Is it as if the argument had not come?"""
    return value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)


def number(
    wire: str, takes: str = "a whole number", *, default: Any = None, most: int = 2_147_483_647
) -> Argument:
    """A whole number from 0 to `most`; null, also as a word, is as if it had not come."""
    return Argument(
        wire,
        lambda value: (
            default if is_nothing(once(value)) else value_parsing.whole_number(once(value), most=most)
        ),
        takes,
        {"type": "integer", "minimum": 0},
        default,
    )


LAST_SECOND = 253_402_300_799  # of the year 9999, C#'s DateTime.MaxValue; milliseconds of our days are more


def unix_time(wire: str) -> Argument:
    """Unix seconds; what is behind a decimal point, as in Python's time.time(), is cut off."""

    def read(value: Any) -> int | None:
        given = once(value)
        if is_nothing(given):
            return None
        if isinstance(given, float) and 0 <= given <= LAST_SECOND:
            given = int(given)
        if isinstance(given, str):
            given = re.sub(r"(?<=[0-9])\.[0-9]{1,20}$", "", given.strip())
        try:
            # the second after it must be a time as well
            return min(value_parsing.whole_number(given, most=LAST_SECOND), LAST_SECOND - 1)
        except ValueError:
            raise ValueError(f"unix seconds, from 0 to {LAST_SECOND}") from None

    return Argument(wire, read, "unix seconds", {"type": "integer", "minimum": 0}, default=None)


def phones(wire: str) -> Argument:
    """Phone numbers: one text, a comma list, or an array."""

    def read(value: Any) -> list[str]:
        given = [plain(one) for one in value] if isinstance(value, list) else value
        found = [] if given is None else value_parsing.texts(given)
        if len(found) > MOST_PHONES:
            raise ValueError(f"at most {MOST_PHONES} phone numbers")
        return [chat_ids.digits(of_person(one)) for one in found]

    return Argument(
        wire,
        read,
        "phone numbers: one, a comma list, or an array",
        {"type": "array", "items": {"type": "string"}, "maxItems": MOST_PHONES},
        default=(),
    )


@dataclass(frozen=True)
class Phone(Argument):
    """One person's phone number, perhaps with a `+` or as a chat id; the keyword is its chat id."""

    def value(self, given: Mapping[str, Any]) -> Any:
        """Says the same of a number that is missing as of one that is none: clients know that sentence."""
        found = once(given.get(self.wire.lower()))
        try:
            return of_person("" if found is None else plain(found))
        except ValueError:
            raise BadArgument(chat_ids.PHONE_SENTENCE) from None


def phone(wire: str) -> Argument:
    return Phone(wire, str, "a phone number with its country code", {"type": "string"}, required=True)


def of_person(number: str) -> str:
    """The chat id of a number; a group has none."""
    found = chat_ids.of_phone(number)
    if chat_ids.is_group(found):
        raise chat_ids.BadChatId(chat_ids.PHONE_SENTENCE)
    return found


@dataclass(frozen=True)
class Destination(Argument):
    """`chatId` or `phone`, one of them needed; `chatId` wins (contract.md, section 2). The keyword is `chat_id`."""

    wire: str = "chatId"
    read: Callable[[Any], Any] = str
    takes: str = "a chat id, such as 17680561234@c.us, or a phone number with its country code"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = True
    aliases: Sequence[str] = ("phone",)

    def value(self, given: Mapping[str, Any]) -> Any:
        """The chat id; a phone may be a number, have a `+`, or be a chat id."""
        chat_id, phone = once(given.get("chatid")), once(given.get("phone"))
        try:
            if chat_id not in (None, ""):
                return chat_ids.of_chat(plain(chat_id))
            return chat_ids.of_phone("" if phone is None else plain(phone))
        except chat_ids.BadChatId as error:
            raise BadArgument(str(error)) from None
        except ValueError:
            raise BadArgument(chat_ids.PHONE_SENTENCE) from None


def plain(value: Any) -> str:
    """The text of a number or text; 17680561234.0, as some languages write it, is the number it means."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return value_parsing.text(whole)
