"""The types of arguments of the wire contract's methods.

Parsing, the documentation and the OpenAPI document use the same declarations. A method lists its arguments by their
wire names. Its function gets them as keyword arguments in snake case (`quotedMsgId` becomes `quoted_msg_id`), and only
those that were sent or have a default.
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
    """One argument. `parse` returns the function's value, or raises ValueError with what the argument must be."""

    wire: str
    parse: Callable[[Any], Any]
    description: str  # a noun phrase, for the documentation and errors
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
        """The keys under which it may be sent, in lower case."""
        return tuple(name.lower() for name in (self.wire, *self.aliases))

    def read(self, given: Mapping[str, Any]) -> Any:
        """Returns the function's value, or NOT_GIVEN. Raises BadArgument."""
        for name in self.names:
            if name in given:
                try:
                    return self.parse(given[name])
                except chat_ids.BadChatId as error:
                    raise BadArgument(str(error)) from None
                except ValueError as error:
                    raise BadArgument(f"`{self.wire}` must be {error}.") from None
        if self.required:
            raise BadArgument(f"`{self.wire}` is required: {self.description}.")
        return self.default


class RepeatedValues(list[Any]):
    """The values of a key that occurs several times in a query or a form. An array (JSON, `key[]`) is a plain list."""


class EmptyFormValue(str):
    """The value of `key=` in a query or a form. Many forms send it for a field that was not filled in."""


def last_if_repeated(value: Any) -> Any:
    """The last value of a repeated key. Arrays are returned unchanged."""
    return value[-1] if isinstance(value, RepeatedValues) else value


def single_value(value: Any) -> Any:
    """The value where one is expected: the last one of a repeated key, or the only one of an array.

    An array of several is returned unchanged, and its type is refused: to choose one of them would be a guess.
    """
    value = last_if_repeated(value)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


MAX_TEXT_LENGTH = 65_536  # characters; the default
MAX_PHONES = 1_000


def text(
    wire: str,
    description: str = "a text",
    *,
    default: Any = None,
    required: bool = False,
    max_length: int = MAX_TEXT_LENGTH,
) -> Argument:
    """A text of at most `max_length` characters. Null counts as not sent. An array is refused, also an array of one."""

    def parse(value: Any) -> Any:
        if value is None:
            return default
        try:
            given = value_parsing.parse_text(last_if_repeated(value))
        except ValueError:
            raise BadArgument(not_a_text(wire)) from None
        if len(given) > max_length:
            raise ValueError(f"at most {max_length} characters")
        return given

    return Argument(wire, parse, description, {"type": "string", "maxLength": max_length}, default, required)


def not_a_text(wire: str) -> str:
    """The sentence for an array, an object or a file where a text belongs; contract.md prints it."""
    return f"{wire} takes a text"


def flag(
    wire: str, description: str = "`true` or `false`", *, default: bool = False, lenient: bool = False
) -> Argument:
    """A boolean. `?full` without a value is true. Null counts as not sent. `lenient`: any other value is true."""

    def parse(value: Any) -> bool:
        given = single_value(value)
        if given is None:
            return default
        try:
            return given == "" or value_parsing.parse_bool(given)
        except ValueError:
            if lenient:
                return True
            raise

    return Argument(wire, parse, description, {"type": "boolean"}, default)


EMPTY_WORDS = frozenset({"", "null", "undefined", "none"})  # how clients write a missing value into a URL


def is_empty(value: Any) -> bool:
    """Whether the value counts as not sent."""
    return value is None or (isinstance(value, str) and value.strip().lower() in EMPTY_WORDS)


def number(
    wire: str, description: str = "a whole number", *, default: Any = None, maximum: int = 2_147_483_647
) -> Argument:
    """A whole number from 0 on. Decimals are cut off, and a larger number than `maximum` counts as `maximum`.

    Null, also as a word, counts as not sent.
    """

    def parse(value: Any) -> Any:
        given = single_value(value)
        if is_empty(given):
            return default
        try:
            return min(value_parsing.parse_whole_number(without_decimals(given), most=MAX_NUMBER), maximum)
        except ValueError:
            raise ValueError(f"a whole number from 0 to {maximum}") from None

    return Argument(wire, parse, description, {"type": "integer", "minimum": 0}, default)


MAX_NUMBER = 10**20  # numbers beyond it are not read at all


def without_decimals(value: Any) -> Any:
    """A number without its decimals: 1714564800.25, as Python's time.time() gives it, and the text of such a number."""
    if isinstance(value, float) and 0 <= value <= MAX_NUMBER:
        return int(value)
    if isinstance(value, str):
        return re.sub(r"(?<=[0-9])\.[0-9]{1,20}$", "", value.strip())
    return value


# In the year 9999; C#'s DateTime.MaxValue. Today's time in milliseconds is larger.
MAX_UNIX_TIME = 253_402_300_799


def unix_time(wire: str) -> Argument:
    """Unix seconds, or milliseconds, as JavaScript's Date.now() gives them. Decimals are cut off."""

    def parse(value: Any) -> int | None:
        given = single_value(value)
        if is_empty(given):
            return None
        try:
            seconds = value_parsing.parse_whole_number(without_decimals(given), most=MAX_NUMBER)
        except ValueError:
            raise ValueError(f"unix seconds from 0 to {MAX_UNIX_TIME}") from None
        if seconds > MAX_UNIX_TIME:
            seconds //= 1000
        # Methods add a second to it, and the result must be a valid time too.
        return min(seconds, MAX_UNIX_TIME - 1)

    return Argument(wire, parse, "unix seconds", {"type": "integer", "minimum": 0}, default=None)


def phones(wire: str) -> Argument:
    """Phone numbers: one text, a comma-separated list, or an array, which may be written as JSON text."""

    def parse(value: Any) -> list[str]:
        found = texts(value)
        if len(found) > MAX_PHONES:
            raise ValueError(f"at most {MAX_PHONES} phone numbers")
        return [chat_ids.bare_id(person_chat_id(item)) for item in found]

    return Argument(
        wire,
        parse,
        "phone numbers: one, a comma-separated list, or an array",
        {"type": "array", "items": {"type": "string"}, "maxItems": MAX_PHONES},
        default=(),
    )


def texts(value: Any) -> list[str]:
    """A list of texts or numbers, in each way that a client writes a list. None is the empty list."""
    value = value_parsing.json_array(value)
    given = [number_or_text(item) for item in value] if isinstance(value, list) else value
    return [] if given is None else value_parsing.parse_texts(given)


@dataclass(frozen=True)
class Phone(Argument):
    """One person's phone number, possibly with a `+` or as a chat id. The function gets its chat id."""

    def read(self, given: Mapping[str, Any]) -> Any:
        """Returns the chat id. The error for a missing number is that for a malformed one: clients compare it."""
        found = single_value(given.get(self.wire.lower()))
        try:
            return person_chat_id("" if found is None else number_or_text(found))
        except ValueError:
            raise BadArgument(chat_ids.PHONE_SENTENCE) from None


def phone(wire: str) -> Argument:
    return Phone(wire, str, "a phone number with its country code", {"type": "string"}, required=True)


def person_chat_id(phone: str) -> str:
    """The chat id of a phone number. Raises BadChatId, also for a group's id."""
    found = chat_ids.of_phone(phone)
    if chat_ids.is_group(found):
        raise chat_ids.BadChatId(chat_ids.PHONE_SENTENCE)
    return found


@dataclass(frozen=True)
class Destination(Argument):
    """`chatId` or `phone`. One is required; `chatId` wins (contract.md §2). The keyword is `chat_id`."""

    wire: str = "chatId"
    parse: Callable[[Any], Any] = str
    description: str = "a chat id, such as 17680561234@c.us, or a phone number with its country code"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = True
    aliases: Sequence[str] = ("phone",)

    def read(self, given: Mapping[str, Any]) -> Any:
        """Returns the chat id. `phone` may be a number, start with `+`, or be a chat id."""
        chat_id, phone = single_value(given.get("chatid")), single_value(given.get("phone"))
        if chat_id not in (None, "", []):
            try:
                return chat_ids.of_chat(number_or_text(chat_id))
            except ValueError:
                raise BadArgument(chat_ids.CHAT_ID_SENTENCE) from None
        try:
            return chat_ids.of_phone("" if phone is None else number_or_text(phone))
        except ValueError:
            raise BadArgument(chat_ids.PHONE_SENTENCE) from None


NO_CHAT = ""  # no chat has this id


def chat_filter(wire: str, description: str) -> Argument:
    """The chat id of a method that reads: None if it was not sent, NO_CHAT if no chat can have this id."""

    def parse(value: Any) -> str | None:
        given = single_value(value)
        if is_empty(given):
            return None
        try:
            return chat_ids.of_chat(number_or_text(given))
        except ValueError:
            return NO_CHAT

    return Argument(wire, parse, description, {"type": "string"}, default=None)


def number_or_text(value: Any) -> str:
    """A number or a text, as a text. Some languages write the number 17680561234 as 17680561234.0."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, int | float) and whole < 0:
        raise ValueError("a positive number, or a text")
    return value_parsing.parse_text(whole)
