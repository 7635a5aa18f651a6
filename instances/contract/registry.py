"""The methods of the wire contract by name. `@method(...)` describes and registers one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpResponse

from accounts.models import Account, Scope
from chatapi.ui.error_texts import shorten
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
    second_failure_key: str  # a second key with the same value; "" if there is none
    works_unpaid: bool  # whether it works while the instance is not paid
    scopes: tuple[
        Scope, ...
    ]  # what the account's key `uid` must be allowed to do; () for a method of an instance
    accepts_files: bool  # whether bodies may be up to REQUEST_MAX_BYTES
    argument_in_path: bool  # whether `{method}/{argument}` calls it with this one argument
    gets_has_body: bool  # whether its function gets `has_body`: the call is a POST with a body
    # does the same in one statement: gets the instance's number and the token's digest; returns None if it cannot
    at_once: Callable[..., Result | None] | None

    @property
    def by_uid(self) -> bool:
        """Whether it belongs to an account, authenticated by its key `uid`, and not to an instance."""
        return bool(self.scopes)

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

    def with_one_argument(self, name: str) -> "Method | None":
        """The method that takes this argument alone and ignores all others. None if there is no such argument."""
        found = [argument for argument in self.arguments if name.lower() in argument.names]
        return replace(self, arguments=tuple(found)) if found and self.argument_in_path else None

    def failure(self, message: str) -> dict[str, Any]:
        """The reply of a failed call."""
        keys = [key for key in (self.failure_key, self.second_failure_key) if key]
        return {**dict.fromkeys(keys, self.failure_value), "message": shorten(message)}

    def read_all(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the function's keyword arguments. Raises BadArgument."""
        values = {argument.keyword: self.read(argument, given) for argument in self.arguments}
        return {name: value for name, value in values.items() if value is not NOT_GIVEN}

    def call_at_once(self, number: int, token_digest: str, given: Mapping[str, Any]) -> Result | None:
        """Calls `at_once`. Returns None if it is not the usual case, also for a wrong argument: call() says why."""
        if self.at_once is None:
            return None
        try:
            return self.at_once(number, token_digest, **self.read_all(given))
        except BadArgument:
            return None

    def call(
        self, subject: Instance | Account, given: Mapping[str, Any], *, has_body: bool = False
    ) -> Result:
        """Calls it with arguments whose keys are in lower case. Unknown ones are ignored. Raises WireError."""
        try:
            keywords = self.read_all(given)
            if self.gets_has_body:
                keywords["has_body"] = has_body
            return self.function(subject, **keywords)
        except BadArgument as error:
            if not self.failure_key:
                raise WireError(400, str(error)) from None
            return self.failure(str(error))
        except CallFailed as error:
            return self.failure(str(error))


METHODS: dict[str, Method] = {}  # by name and by alias


def find_method(path: str) -> Method | None:
    """The method of a URL's path: `sendMessage`, or `settings/ackNotificationsOn`. None if there is none."""
    name, _, argument = path.partition("/")
    method = METHODS.get(name)
    return method.with_one_argument(argument.strip("/")) if method and argument else method


def method(
    name: str,
    *verbs: str,
    arguments: Sequence[Argument] = (),
    aliases: Sequence[str] = (),
    failure_key: str = "",
    failure_value: Any = False,
    second_failure_key: str = "",
    works_unpaid: bool = False,
    scopes: tuple[Scope, ...] = (),
    accepts_files: bool = False,
    argument_in_path: bool = False,
    gets_has_body: bool = False,
    at_once: Callable[..., Result | None] | None = None,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Registers a function `(instance, **arguments) -> dict` as the method `name`; with `scopes`: `(account, …)`."""

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        registered = Method(
            name=name,
            function=function,
            verbs=verbs,
            arguments=tuple(arguments),
            aliases=tuple(aliases),
            failure_key=failure_key,
            failure_value=failure_value,
            second_failure_key=second_failure_key,
            works_unpaid=works_unpaid,
            scopes=scopes,
            accepts_files=accepts_files,
            argument_in_path=argument_in_path,
            gets_has_body=gets_has_body,
            at_once=at_once,
        )
        for each in (name, *aliases):
            if each in METHODS:
                raise RuntimeError(f"Two methods of the wire contract are called {each}.")
            METHODS[each] = registered
        return function

    return register
