"""Model fields with the content of messages, hooks and captures, which can be masked for the length of a request.

While staff without the permission `hooks.view_body` view an account, every query returns a mask instead of the content.
So no page, list, preview or download needs a rule of its own, and a new one is masked too. Raw SQL is not covered:
read these columns through the ORM.

Outside such a request a query is unchanged: the converter is added when the query is built, not called per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import models

MASK = "•" * 8
KEPT_KEYS = ("id", "type")  # of JSON: what a page needs to show it

_masked: ContextVar[bool] = ContextVar("bodies_masked", default=False)


class MaskedWrite(RuntimeError):
    """A request with masked bodies would have stored a mask. It is read-only, so this is a bug."""


@contextmanager
def masked_bodies() -> Iterator[None]:
    """Within the block, bodies are masked for this thread."""
    token = _masked.set(True)
    try:
        yield
    finally:
        _masked.reset(token)


def are_masked() -> bool:
    """Returns whether this request may not show bodies. A filter by their content must then find nothing."""
    return _masked.get()


class MaskedText(str):
    """A mask; `size` is the number of bytes of the text that it hides, in UTF-8."""

    size: int


class MaskedBytes(bytes):
    """A mask; `size` is the number of bytes that it hides."""

    size: int


def mask_text(value: Any) -> Any:
    if not value:
        return value
    mask = MaskedText(MASK)
    mask.size = len(value.encode())
    return mask


def mask_bytes(value: Any) -> Any:
    """Returns a JSON text, because most bodies are JSON."""
    if not value:
        return value
    mask = MaskedBytes(f'"{MASK}"'.encode())
    mask.size = len(value)
    return mask


def size_of(body: str | bytes) -> int:
    """Returns the number of bytes of a body as stored, also if a mask hides it. A copy of a mask has only its own."""
    if isinstance(body, MaskedText | MaskedBytes):
        return body.size
    return len(body.encode() if isinstance(body, str) else body)


def mask_json(value: Any) -> Any:
    """Returns the same structure; every text and number in it is masked, except under KEPT_KEYS."""
    if isinstance(value, dict):
        return {key: one if key in KEPT_KEYS else mask_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [mask_json(one) for one in value]
    return value if value is None or isinstance(value, bool) else MASK


if TYPE_CHECKING:
    Field = models.Field[Any, Any]
else:
    Field = object


class MaskedField(Field):
    """For a field of Django, which migrations see instead of this class."""

    mask: Callable[[Any], Any]

    def get_db_converters(self, connection: Any) -> list[Callable[..., Any]]:
        converters: list[Callable[..., Any]] = super().get_db_converters(connection)
        return [*converters, lambda value, *_: type(self).mask(value)] if _masked.get() else converters

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if _masked.get():
            raise MaskedWrite(f"{self} would store a masked body.")
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, arguments, options = super().deconstruct()
        return name, f"django.db.models.{type(self).__mro__[2].__name__}", arguments, options


class MaskedTextField(MaskedField, models.TextField):
    mask = staticmethod(mask_text)


class MaskedCharField(MaskedField, models.CharField):
    mask = staticmethod(mask_text)


class MaskedBinaryField(MaskedField, models.BinaryField):
    mask = staticmethod(mask_bytes)


class MaskedJSONField(MaskedField, models.JSONField):
    mask = staticmethod(mask_json)
