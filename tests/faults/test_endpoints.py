"""Endpoints with every fault, all at the same time under one real dispatcher, beside endpoints that work.

test_http.py and test_tls.py test each fault in more detail; this file tests the state of the hooks.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from django.utils import timezone

from hooks.models import Attempt, Hook, Outcome, Side, State, Trigger
from tests.factories import InstanceFactory
from tests.faults import certificates, servers
from tests.faults.servers import answer, faulty, raw_response
from tests.hooks.dispatch.dispatching import Dispatch, Held, emit, states, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.usefixtures("checked")

SHORT = "tests.hooks.dispatch.short_deadline"
METADATA = "http://169.254.169.254/latest/meta-data/"
WORKING = ["before", "after"]  # two endpoints that work: the first and the last to be created


class Result(NamedTuple):
    """The outcome, status and side at fault of a hook's attempt, and the state of the hook."""

    outcome: Outcome
    status: int | None
    side: Side | str
    state: State


FAULTS = {
    "204": answer(204),
    "301": answer(301, "Location: https://a.example/hook"),
    "302 to a metadata service": answer(302, f"Location: {METADATA}"),
    "401": answer(401),
    "404": answer(404),
    "405": answer(405),
    "410": answer(410),
    "413": answer(413),
    "429 with Retry-After": answer(429, "Retry-After: 600"),
    "429 with nonsense": answer(429, "Retry-After: 1 Jan 99999999999999999999"),
    "500": answer(500),
    "response that hangs": servers.hang,
    "drip": servers.drip,
    "drip of headers": servers.drip_of_headers,
    "10 MB": servers.ten_megabytes,
    "without end": servers.without_end,
    "gzip bomb": servers.gzip_bomb,
    "hang-up": servers.hang_up,
    "reset in the middle of a response": servers.reset,
    "cut off in the middle of a response": servers.cut_off,
    "garbage": servers.garbage,
    "flood of headers": servers.flood_of_headers,
    "strange headers": servers.strange_headers,
    "HTTP/2 only": raw_response(servers.HTTP2),
    **{name: raw_response(response) for name, response in (servers.BROKEN | servers.UNUSUAL).items()},
}
CONNECTIONS = {
    "refused": servers.refusing,
    "connection that hangs": servers.not_accepting,
    "silence": servers.silent,
}
ADDRESSES = {
    "unknown name": "http://nowhere.invalid/",
    "private address": "http://192.168.1.1/",
    "metadata service": METADATA,
    "name with a private address": "http://inside.example/",
    "name with a metadata service": "http://metadata.example/",
    "name with a mapped address": "http://mapped.example/",
}
NAMES = {
    "inside.example": ["10.0.0.1", "192.168.0.1"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["[::ffff:10.0.0.1]"],
}


def expected_results(guaranteed: bool) -> dict[str, Result]:
    """Returns the expected result for the hook of each endpoint."""
    again = State.RETRYING if guaranteed else State.FAILED
    E, B, S = Side.ENDPOINT, Side.BETWEEN, Side.SERVER

    def status(number: int) -> Result:
        return Result(Outcome.NOT_200, number, E, State.FAILED if number == 410 else again)

    delivered = Result(Outcome.OK, 200, "", State.DELIVERED)
    return {
        "204": status(204),
        "301": Result(Outcome.REDIRECT, 301, E, again),
        "302 to a metadata service": Result(Outcome.REDIRECT, 302, E, again),
        **{str(number): status(number) for number in (401, 404, 405, 410, 413, 500)},
        "429 with Retry-After": status(429),
        "429 with nonsense": status(429),
        "response that hangs": Result(Outcome.TIMEOUT, None, E, again),
        "drip": Result(Outcome.TIMEOUT, 200, E, again),
        "drip of headers": Result(Outcome.TIMEOUT, 200, E, again),
        "10 MB": delivered,
        "without end": delivered,
        "gzip bomb": delivered,
        "hang-up": Result(Outcome.RESET, None, E, again),
        "reset in the middle of a response": Result(Outcome.RESET, 200, E, again),
        "cut off in the middle of a response": Result(Outcome.RESET, 200, E, again),
        "garbage": Result(Outcome.PROTOCOL, None, E, again),
        "flood of headers": Result(Outcome.TOO_LARGE, 200, E, again),
        "strange headers": delivered,
        "HTTP/2 only": Result(Outcome.PROTOCOL, None, E, again),
        **dict.fromkeys(servers.BROKEN, Result(Outcome.PROTOCOL, 200, E, again)),
        **dict.fromkeys(servers.UNUSUAL, delivered),
        "refused": Result(Outcome.REFUSED, None, E, again),
        "connection that hangs": Result(Outcome.TIMEOUT, None, B, again),
        "silence": Result(Outcome.TIMEOUT, None, E, again),
        "unknown name": Result(Outcome.DNS, None, B, again),
        "private address": Result(Outcome.BLOCKED, None, S, again),
        "metadata service": Result(Outcome.BLOCKED, None, S, again),
        "name with a private address": Result(Outcome.BLOCKED, None, S, again),
        "name with a metadata service": Result(Outcome.BLOCKED, None, S, again),
        "name with a mapped address": Result(Outcome.BLOCKED, None, S, again),
        "valid certificate": delivered,
        "expired certificate": Result(Outcome.TLS, None, E, again),
        "certificate for another name": Result(Outcome.TLS, None, E, again),
        "self-signed certificate": Result(Outcome.TLS, None, E, again),
        "certificate of an unknown authority": Result(Outcome.TLS, None, E, again),
        "client certificate wanted, TLS 1.2": Result(Outcome.TLS, None, E, again),
        "client certificate wanted, TLS 1.3": Result(Outcome.TLS, None, E, again),
        "HTTP/2 only, TLS": Result(Outcome.PROTOCOL, None, E, again),
        "no close_notify, no length": delivered,
        "no close_notify, cut off": Result(Outcome.RESET, 200, E, again),
        **dict.fromkeys(WORKING, delivered),
    }


class DispatchWithNames(Dispatch):
    """A dispatcher with host names defined by the test: `resolve(name, *addresses)` changes the addresses of one."""

    command = ["-m", "tests.faults.host_names"]

    def __init__(self, folder: Path, names: dict[str, list[str]], **environment: str) -> None:
        self.names, self.file = dict(names), folder / "names.json"
        self.write()
        super().__init__(folder, NAMES=str(self.file), **environment)

    def write(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(
            json.dumps({name if ":" in name else f"{name}:80": to for name, to in self.names.items()})
        )
        new.rename(self.file)

    def resolve(self, name: str, *addresses: str) -> None:
        self.names[name] = list(addresses)
        self.write()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """The certificate authority that the dispatcher trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def addresses(authority: trustme.CA, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The URL of each faulty server, by its fault."""
    servers.bomb()  # built before a deadline starts
    encrypted = {
        "valid certificate": certificates.server_context(authority.issue_cert("localhost")),
        "expired certificate": certificates.expired(authority),
        "certificate for another name": certificates.server_context(authority.issue_cert("example.org")),
        "self-signed certificate": certificates.self_signed(tmp_path),
        "certificate of an unknown authority": certificates.server_context(
            trustme.CA().issue_cert("localhost")
        ),
        "client certificate wanted, TLS 1.2": certificates.wants_client_certificate(
            authority, ssl.TLSVersion.TLSv1_2
        ),
        "client certificate wanted, TLS 1.3": certificates.wants_client_certificate(
            authority, ssl.TLSVersion.TLSv1_3
        ),
    }
    valid = encrypted["valid certificate"]
    https = {name: (answer(200), context) for name, context in encrypted.items()} | {
        "HTTP/2 only, TLS": (raw_response(servers.HTTP2), valid),
        "no close_notify, no length": (raw_response(servers.OK + b"\r\nthanks"), valid),
        "no close_notify, cut off": (raw_response(servers.OK + b"Content-Length: 10\r\n\r\nshort"), valid),
    }
    with ExitStack() as held:
        plain = {name: held.enter_context(faulty(fault)) for name, fault in FAULTS.items()}
        plain |= {name: held.enter_context(ports()) for name, ports in CONNECTIONS.items()}
        tls = {
            name: held.enter_context(faulty(fault, tls=context)) for name, (fault, context) in https.items()
        }
        yield (
            {name: f"http://127.0.0.1:{port}/hook" for name, port in plain.items()}
            | {name: f"https://localhost:{port}/hook" for name, port in tls.items()}
            | ADDRESSES
        )


@pytest.mark.parametrize("guaranteed", [False, True], ids=["one attempt", "guaranteed"])
def test_faults_at_the_same_time_have_their_outcomes_and_do_not_affect_other_endpoints(
    guaranteed: bool, addresses: dict[str, str], tmp_path: Path
) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": SHORT, "HOOKS_CA_FILE": str(tmp_path / "ca.pem")}
    expected = expected_results(guaranteed)
    with Receiver() as working, DispatchWithNames(tmp_path, NAMES, **environment) as dispatcher:
        urls = {"before": working.url} | addresses | {"after": working.url}
        hooks = {
            name: emit(InstanceFactory(url=url, guaranteed=guaranteed).endpoint)[0]
            for name, url in urls.items()
        }
        first = Attempt.objects.filter(number=1)  # others may have been retried meanwhile
        wait_until(lambda: first.count() == len(hooks), "each hook has its attempt")
        assert dispatcher.process.poll() is None, dispatcher.output
    found = {}
    for name, hook in hooks.items():
        attempt = hook.attempts.get(number=1)
        hook.refresh_from_db()
        found[name] = Result(Outcome(attempt.outcome), attempt.status, attempt.side, State(hook.state))
    assert found == expected
    assert len(working.requests) == len(WORKING)


def test_retry_after_is_obeyed_per_endpoint(tmp_path: Path) -> None:
    with servers.several([FAULTS["429 with Retry-After"], FAULTS["429 with nonsense"]]) as ports:
        polite, plain = (
            emit(InstanceFactory(url=f"http://127.0.0.1:{port}/", guaranteed=True).endpoint)[0]
            for port in ports
        )
        with Dispatch(tmp_path):
            wait_until(lambda: Attempt.objects.count() == 2, "each has its attempt")
    waits = []
    for hook in (polite, plain):
        hook.refresh_from_db()
        assert hook.next_attempt_at is not None
        waits.append(hook.next_attempt_at - hook.attempts.get().started_at)
    assert timedelta(minutes=10) <= waits[0] < timedelta(minutes=11)
    assert timedelta(seconds=4) <= waits[1] < timedelta(seconds=16)


# -- names


def wait_for_state(state: State, hook: Hook) -> Hook:
    def reached() -> bool:
        hook.refresh_from_db()
        return hook.state == state

    wait_until(reached, f"the hook is {state}")
    return hook


def test_a_name_that_the_machine_resolves_to_loopback_is_blocked(tmp_path: Path) -> None:
    with Receiver() as inside, Dispatch(tmp_path, HOOKS_ALLOW_NETWORKS=""):
        [hook] = emit(InstanceFactory(url=f"http://localhost:{inside.port}/").endpoint)
        wait_for_state(State.FAILED, hook)
        assert inside.requests == []
    attempt = hook.attempts.get()
    assert (attempt.outcome, attempt.error, attempt.address) == (Outcome.BLOCKED, "loopback", "")


def test_a_name_whose_address_changes_is_checked_at_each_connection(tmp_path: Path) -> None:
    with faulty(answer(200, "Connection: close")) as port:
        name = f"changes.example:{port}"
        with DispatchWithNames(tmp_path, {name: ["127.0.0.1"]}) as dispatcher:
            alice = InstanceFactory(url=f"http://{name}/hook").endpoint
            [first] = emit(alice)
            wait_for_state(State.DELIVERED, first)
            assert first.attempts.get().address == f"127.0.0.1:{port}"
            dispatcher.resolve(name, "169.254.169.254")
            [second] = emit(alice)
            wait_for_state(State.FAILED, second)
            dispatcher.resolve(name, "127.0.0.1")
            [third] = emit(alice)
            wait_for_state(State.DELIVERED, third)
    attempt = second.attempts.get()
    assert (attempt.outcome, attempt.error, attempt.side, attempt.address) == (
        Outcome.BLOCKED,
        "metadata",
        Side.SERVER,
        "",
    )


def test_only_the_allowed_addresses_of_a_name_are_tried(tmp_path: Path) -> None:
    with Receiver() as receiver:
        name = f"both.example:{receiver.port}"
        with DispatchWithNames(tmp_path, {name: ["10.0.0.1", "127.0.0.1"]}):
            [hook] = emit(InstanceFactory(url=f"http://{name}/hook").endpoint)
            wait_for_state(State.DELIVERED, hook)
    assert hook.attempts.get().address == f"127.0.0.1:{receiver.port}"


# -- many dead endpoints


def test_the_retries_of_many_dead_endpoints_leave_room_for_first_attempts(tmp_path: Path) -> None:
    dead_ones, max_in_flight = 60, 10
    hanging = Held()
    with Receiver(hanging) as dead, Receiver() as working:
        endpoints = [InstanceFactory(url=dead.url, guaranteed=True).endpoint for _ in range(dead_ones)]
        for endpoint in endpoints:
            emit(endpoint)
        Hook.objects.update(
            state=State.RETRYING, attempts_made=1, next_attempt_at=timezone.now(), trigger=Trigger.RETRY
        )
        with Dispatch(tmp_path, HOOKS_WINDOW=str(max_in_flight)):
            dead.wait_for(max_in_flight // 2)
            alice = InstanceFactory(url=working.url).endpoint
            emit(alice, 50)
            wait_until(
                lambda: states(alice) == {State.DELIVERED}, "the working endpoint has all of its hooks"
            )
            assert len(dead.requests) == max_in_flight // 2  # none of these had to end first
            hanging.release.set()
            wait_until(lambda: states(*endpoints) == {State.DELIVERED}, "the others have theirs in the end")
    assert [request.json()["n"] for request in working.requests] == list(range(50))
