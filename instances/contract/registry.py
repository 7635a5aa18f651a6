"""The methods of the wire contract by name: `@method(...)` describes one and puts it in here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse

from accounts.models import Account
from instances.contract.arguments import NOT_GIVEN, Argument
from instances.contract.errors import BadArgument, Refused, WireError
from instances.models import Instance

Result = dict[str, Any] | HttpResponse


@dataclass(frozen=True)
class Method:
    """One method. `verbs` is how it is documented: every method answers GET and POST (contract.md, section 1)."""

    name: str
    function: Callable[..., Result]
    verbs: tuple[str, ...]
    arguments: Sequence[Argument]
    aliases: tuple[str, ...]
    refusal: str  # the boolean that is false when the call failed with HTTP 200; "" when there is none
    failed: Any  # what stands there then, where clients look for a word instead of false
    unpaid: bool  # does it answer when the instance is not paid?
    by_uid: bool  # is it the account's, opened by its key `uid`, and not an instance's?
    large: bool  # does it take files, and so bodies up to REQUEST_MAX_BYTES?

    def call(self, subject: Instance | Account, given: Mapping[str, Any]) -> Result:
        """Runs it with arguments whose keys are in lower case; unknown ones are ignored. Raises WireError."""
        try:
            keywords = {argument.keyword: argument.value(given) for argument in self.arguments}
            return self.function(
                subject, **{name: value for name, value in keywords.items() if value is not NOT_GIVEN}
            )
        except BadArgument as error:
            if not self.refusal:
                raise WireError(400, str(error)) from None
            return {self.refusal: self.failed, "message": str(error)}
        except Refused as error:
            return {self.refusal: self.failed, "message": str(error)}


METHODS: dict[str, Method] = {}  # by every name, aliases included


def method(
    name: str,
    *verbs: str,
    arguments: Sequence[Argument] = (),
    aliases: Sequence[str] = (),
    refusal: str = "",
    failed: Any = False,
    unpaid: bool = False,
    by_uid: bool = False,
    large: bool = False,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Registers the function `(instance, **arguments) -> dict` as the method `name`; `by_uid`: `(account, …)`."""

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        made = Method(
            name, function, verbs, tuple(arguments), tuple(aliases), refusal, failed, unpaid, by_uid, large
        )
        for each in (name, *aliases):
            if each in METHODS:
                raise RuntimeError(f"Two methods of the wire contract are called {each}.")
            METHODS[each] = made
        return function

    return register
