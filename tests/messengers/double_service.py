"""What the services share whose messenger is a double in the tests' process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, Self, TypeVar


class Double(AbstractContextManager[Any], Protocol):
    @property
    def url(self) -> str: ...


DoubleT = TypeVar("DoubleT", bound=Double)


class DoubleService(Generic[DoubleT]):
    """Implements HttpService but for its accounts, settings and paths: the double runs while its context is entered."""

    def __init__(self, double: DoubleT) -> None:
        self.double = double
        self.seen_at = ""

    @property
    def url(self) -> str:
        return self.double.url

    def __enter__(self) -> Self:
        self.double.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.double.__exit__(*exception)
