"""The methods of the wire contract by name. `@method(...)` describes and registers one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse

from accounts.models import Account
from instances.contract.arguments import NOT_GIVEN, Argument
from instances.contract.errors import BadArgument, CallFailed, WireError
from instances.models import Instance

Result = dict[str, Any] | HttpResponse


@dataclass(frozen=True)
class Method:
    """One method. `verbs` is what the documentation shows; every method accepts GET and POST (contract.md §1)."""

    name: str
    function: Callable[..., Result]
    verbs: tuple[str, ...]
    arguments: Sequence[Argument]
    aliases: tuple[str, ...]
    failure_key: str  # the boolean that is false when the call failed with HTTP 200; "" if there is none
    failure_value: Any  # its value then: false, or the word that clients compare
    works_unpaid: bool  # whether it works while the instance is not paid
    by_uid: bool  # whether it belongs to an account, authenticated by its key `uid`, and not to an instance
    accepts_files: bool  # whether bodies may be up to REQUEST_MAX_BYTES

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing. Only such methods are documented with GET alone."""
        return self.verbs == ("GET",)

    def read(self, argument: Argument, given: Mapping[str, Any]) -> Any:
        """Returns the argument's value. Raises BadArgument.

        An optional argument of a method that only reads counts as not sent if it cannot be read: clients poll these
        methods in a loop, and an error would stop it for good.
        """
        try:
            return argument.read(given)
        except BadArgument:
            if self.only_reads and not argument.required:
                return argument.default
            raise

    def call(self, subject: Instance | Account, given: Mapping[str, Any]) -> Result:
        """Calls it with arguments whose keys are in lower case. Unknown ones are ignored. Raises WireError."""
        try:
            keywords = {argument.keyword: self.read(argument, given) for argument in self.arguments}
            return self.function(
                subject, **{name: value for name, value in keywords.items() if value is not NOT_GIVEN}
            )
        except BadArgument as error:
            if not self.failure_key:
                raise WireError(400, str(error)) from None
            return {self.failure_key: self.failure_value, "message": str(error)}
        except CallFailed as error:
            return {self.failure_key: self.failure_value, "message": str(error)}


METHODS: dict[str, Method] = {}  # by name and by alias


def method(
    name: str,
    *verbs: str,
    arguments: Sequence[Argument] = (),
    aliases: Sequence[str] = (),
    failure_key: str = "",
    failure_value: Any = False,
    works_unpaid: bool = False,
    by_uid: bool = False,
    accepts_files: bool = False,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Registers a function `(instance, **arguments) -> dict` as the method `name`; `by_uid`: `(account, …)`."""

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        registered = Method(
            name=name,
            function=function,
            verbs=verbs,
            arguments=tuple(arguments),
            aliases=tuple(aliases),
            failure_key=failure_key,
            failure_value=failure_value,
            works_unpaid=works_unpaid,
            by_uid=by_uid,
            accepts_files=accepts_files,
        )
        for each in (name, *aliases):
            if each in METHODS:
                raise RuntimeError(f"Two methods of the wire contract are called {each}.")
            METHODS[each] = registered
        return function

    return register
