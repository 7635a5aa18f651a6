"""Actions on endpoints and hooks: configure, override, resend, try now, cancel, skip, simulate."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from hooks import outbox, tallies
from hooks.actions import simulation as simulation_actions
from hooks.actions.endpoints import configure, end_all_overrides, end_override, override_url, rotate_secret
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.models import (
    UNFINISHED,
    Attempt,
    Endpoint,
    Hook,
    Kind,
    Outcome,
    Side,
    SkipReason,
    State,
    Trigger,
)
from hooks.urls.webhook_urls import InvalidUrl
from tests.factories import InstanceFactory
from tests.faults import servers
from tests.receiver import Receiver

A = "http://a.example/hook"
OVERRIDE = "http://override.example/"


def stored(endpoint: Endpoint) -> Endpoint:
    return Endpoint.objects.get(pk=endpoint.pk)


def row(hook: Hook) -> dict[str, object]:
    """Returns all columns of the hook."""
    return dict(Hook.objects.filter(pk=hook.pk).values().get())


@pytest.fixture
def hook(endpoint: Endpoint) -> Hook:
    """A queued hook."""
    with transaction.atomic():
        return outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}")


def put(hook: Hook, state: State, **fields: object) -> Hook:
    """Puts the hook into another state, as the dispatcher would."""
    now = timezone.now()
    fields = {"finished_at": now if state not in UNFINISHED else None} | fields
    if state == State.SENDING:
        fields["lease_until"] = now + timedelta(seconds=30)
    Hook.objects.filter(pk=hook.pk).update(state=state, **fields)
    return hook


# -- the endpoint


def test_configure_returns_only_what_changed(endpoint: Endpoint) -> None:
    assert configure(endpoint, url=A, guaranteed=False, parallel=True) == {"url": A, "parallel": True}
    assert configure(endpoint, url=A, guaranteed=False, parallel=True) == {}
    assert configure(endpoint) == {}
    kept = stored(endpoint)
    assert (kept.url, kept.guaranteed, kept.parallel) == (A, False, True)
    assert (endpoint.url, endpoint.guaranteed, endpoint.parallel) == (A, False, True)


def test_a_url_is_stored_as_it_will_be_requested(endpoint: Endpoint) -> None:
    changed = configure(endpoint, url=" HTTP://A.example/hook ")
    assert changed == {"url": A, "typed_url": "HTTP://A.example/hook"}


def test_an_empty_url_removes_the_url(endpoint: Endpoint) -> None:
    assert configure(endpoint, url="  ") == {"url": ""}
    assert stored(endpoint).url == ""


def test_an_invalid_url_changes_nothing(endpoint: Endpoint) -> None:
    before = stored(endpoint).url
    with pytest.raises(InvalidUrl):
        configure(endpoint, url="ftp://a.example/", guaranteed=True)
    assert (stored(endpoint).url, stored(endpoint).guaranteed) == (before, False)


def test_two_users_changing_different_fields_do_not_undo_each_other(endpoint: Endpoint) -> None:
    other = stored(endpoint)
    configure(endpoint, url=A)
    assert configure(other, guaranteed=True) == {"guaranteed": True}
    assert (stored(endpoint).url, stored(endpoint).guaranteed) == (A, True)


def test_an_override_ends_at_its_time_and_keeps_the_own_url(endpoint: Endpoint) -> None:
    configure(endpoint, url=A)
    until = timezone.now() + timedelta(minutes=30)
    override_url(endpoint, url=OVERRIDE, until=until, acting_user=None)
    kept = stored(endpoint)
    assert (kept.url, kept.override_url, kept.override_until) == (A, OVERRIDE, until)
    assert kept.effective_url() == OVERRIDE
    assert kept.effective_url(until - timedelta(seconds=1)) == OVERRIDE
    assert kept.effective_url(until) == A


def test_ending_an_override_restores_the_own_url(endpoint: Endpoint) -> None:
    configure(endpoint, url=A)
    override_url(endpoint, url=OVERRIDE, until=timezone.now() + timedelta(minutes=30), acting_user=None)
    end_override(endpoint, acting_user=None)
    kept = stored(endpoint)
    assert (kept.effective_url(), kept.override_url, kept.override_until) == (A, "", None)
    end_override(endpoint, acting_user=None)  # ending it twice changes nothing


def test_after_an_outage_every_override_is_ended(endpoint: Endpoint) -> None:
    other = InstanceFactory().endpoint
    soon = timezone.now() + timedelta(minutes=30)
    configure(endpoint, url=A)
    override_url(endpoint, url=OVERRIDE, until=soon, acting_user=None)
    assert end_all_overrides() == 1
    assert end_all_overrides() == 0
    assert stored(endpoint).effective_url() == A
    assert stored(other).effective_url() == ""


def test_an_invalid_url_overrides_nothing(endpoint: Endpoint) -> None:
    with pytest.raises(InvalidUrl):
        override_url(endpoint, url="nonsense", until=timezone.now(), acting_user=None)
    assert stored(endpoint).override_url == ""


def test_a_new_secret_replaces_the_old_one(endpoint: Endpoint) -> None:
    before = endpoint.secret
    assert rotate_secret(endpoint, acting_user=None) == stored(endpoint).secret != before


# -- resend, try now, cancel


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED, State.CANCELLED])
def test_a_finished_hook_can_be_resent(hook: Hook, state: State) -> None:
    put(hook, state, attempts_made=1)
    sent = resend(hook, acting_user=None)
    sent.refresh_from_db()
    assert (sent.state, sent.trigger, sent.webhook_id) == (State.RETRYING, Trigger.RESEND, hook.webhook_id)
    assert (sent.attempts_made, sent.attempts_allowed, sent.finished_at) == (1, 2, None)
    assert sent.next_attempt_at is not None
    assert sent.next_attempt_at <= timezone.now()


def test_a_skipped_hook_can_be_resent(hook: Hook) -> None:
    put(hook, State.SKIPPED, skip_reason=SkipReason.FLAG_OFF)
    sent = resend(hook, acting_user=None)
    assert (sent.state, sent.skip_reason, sent.attempts_allowed) == (State.RETRYING, "", 1)


def test_with_guaranteed_hooks_a_resend_has_twenty_more_attempts(hook: Hook) -> None:
    configure(hook.endpoint, guaranteed=True)
    put(hook, State.FAILED, attempts_made=1)
    assert resend(hook, acting_user=None).attempts_allowed == 21


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.RETRYING])
def test_an_unfinished_hook_cannot_be_resent(hook: Hook, state: State) -> None:
    put(hook, state)
    before = row(hook)
    with pytest.raises(NotPossible) as refused:
        resend(hook, acting_user=None)
    assert str(refused.value) == "This hook has not finished yet. Resend it when it has."
    assert row(hook) == before


def test_without_a_url_a_hook_cannot_be_resent(hook: Hook) -> None:
    put(hook, State.FAILED, attempts_made=1)
    configure(hook.endpoint, url="")
    before = row(hook)
    with pytest.raises(NotPossible) as refused:
        resend(hook, acting_user=None)
    assert str(refused.value) == "The instance has no webhook URL. Set one first."
    assert row(hook) == before


def test_a_retry_can_be_made_due_immediately(hook: Hook) -> None:
    put(hook, State.RETRYING, attempts_made=1, attempts_allowed=20)
    Hook.objects.update(next_attempt_at=timezone.now() + timedelta(hours=12))
    tried = try_now(hook, acting_user=None)
    assert (tried.state, tried.attempts_made, tried.attempts_allowed) == (State.RETRYING, 1, 20)
    assert tried.next_attempt_at is not None
    assert tried.next_attempt_at <= timezone.now()


@pytest.mark.parametrize("state", [s for s in State if s not in (State.RETRYING, State.SKIPPED)])
def test_only_a_waiting_retry_can_be_tried_now(hook: Hook, state: State) -> None:
    put(hook, state)
    before = row(hook)
    with pytest.raises(NotPossible) as refused:
        try_now(hook, acting_user=None)
    assert str(refused.value) == "This hook is not waiting for another attempt."
    assert row(hook) == before


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.RETRYING])
def test_an_unfinished_hook_can_be_cancelled(hook: Hook, state: State) -> None:
    put(hook, state, next_attempt_at=timezone.now())
    cancel(hook, acting_user=None)
    hook.refresh_from_db()
    assert (hook.state, hook.next_attempt_at, hook.lease_until) == (State.CANCELLED, None, None)
    assert hook.finished_at is not None


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED, State.CANCELLED])
def test_a_finished_hook_cannot_be_cancelled(hook: Hook, state: State) -> None:
    put(hook, state)
    before = row(hook)
    with pytest.raises(NotPossible) as refused:
        cancel(hook, acting_user=None)
    assert str(refused.value) == "This hook has already finished."
    assert row(hook) == before


# -- simulate


def simulate(endpoint: Endpoint, to_url: str) -> tuple[Hook, Attempt]:
    hook = simulation_actions.simulate(
        endpoint,
        kind=Kind.ACK,
        body='{"ack":["ü"]}'.encode(),
        to_url=to_url,
        message="m",
        chat="c",
        acting_user=None,
    )
    return hook, hook.attempts.get()


@pytest.mark.django_db(transaction=True)
def test_a_simulated_hook_is_delivered_immediately_and_logged_completely() -> None:
    endpoint = InstanceFactory().endpoint  # a simulation does not need the endpoint's own URL
    with Receiver([(200, {"X-Bot": "yes"}, b"thank you")]) as receiver:
        hook, attempt = simulate(endpoint, receiver.url)
        [request] = receiver.requests
    assert request.body == b'{"ack":["\xc3\xbc"]}'
    assert request.headers["webhook-simulated"] == "1"
    assert request.headers["webhook-id"] == hook.webhook_id
    assert request.headers["webhook-attempt"] == "1/1"

    assert (hook.state, hook.kind, hook.simulated, hook.to_url) == (
        State.DELIVERED,
        Kind.ACK,
        True,
        receiver.url,
    )
    assert (hook.message, hook.chat, hook.claim, hook.lease_until) == ("m", "c", 1, None)
    assert (hook.attempts_made, hook.attempts_allowed) == (1, 1)
    assert (hook.last_outcome, hook.last_status, hook.last_host) == (Outcome.OK, 200, "127.0.0.1")
    assert hook.last_ms == attempt.total_ms > 0
    assert hook.finished_at is not None

    assert (attempt.number, attempt.trigger, attempt.url) == (1, Trigger.SIMULATION, receiver.url)
    assert (attempt.outcome, attempt.side, attempt.error, attempt.status) == (Outcome.OK, "", "", 200)
    assert (bytes(attempt.response_body), attempt.response_size) == (b"thank you", 9)
    assert ["X-Bot", "yes"] in attempt.response_headers
    assert attempt.address == f"127.0.0.1:{receiver.port}"
    assert {name.lower(): value for name, value in attempt.request_headers}.items() <= (
        request.headers.items()
    )
    assert attempt.started_at >= hook.created_at
    assert tallies.emitted([endpoint.pk])[endpoint.pk] == 1


def test_a_failed_simulation_names_the_side_at_fault(endpoint: Endpoint) -> None:
    with servers.faulty(servers.answer(500, body=b"oops")) as port:
        hook, attempt = simulate(endpoint, f"http://127.0.0.1:{port}/")
    assert (hook.state, hook.attempts_made, hook.last_status) == (State.FAILED, 1, 500)
    assert (attempt.outcome, attempt.side, attempt.status) == (Outcome.NOT_200, Side.ENDPOINT, 500)
    assert bytes(attempt.response_body) == b"oops"


def test_a_simulation_is_one_attempt_even_with_guaranteed_hooks(endpoint: Endpoint) -> None:
    configure(endpoint, guaranteed=True)
    with servers.refusing() as port:
        hook, attempt = simulate(endpoint, f"http://127.0.0.1:{port}/")
    assert (hook.state, hook.attempts_allowed, attempt.outcome) == (State.FAILED, 1, Outcome.REFUSED)


def test_the_address_guard_applies_to_simulated_hooks(endpoint: Endpoint, settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as inside:
        hook, attempt = simulate(endpoint, f"http://localhost:{inside.port}/")
        assert inside.requests == []
    assert (hook.state, hook.last_outcome) == (State.FAILED, Outcome.BLOCKED)
    assert (attempt.outcome, attempt.side, attempt.error) == (Outcome.BLOCKED, Side.SERVER, "loopback")
    assert (attempt.address, attempt.status) == ("", None)


def test_a_simulation_to_an_invalid_url_stores_nothing(endpoint: Endpoint) -> None:
    with pytest.raises(InvalidUrl):
        simulate(endpoint, "nonsense")
    assert Hook.objects.count() == 0
    assert tallies.emitted([endpoint.pk])[endpoint.pk] == 0


def test_a_response_with_unusual_bytes_can_be_stored(endpoint: Endpoint) -> None:
    with servers.faulty(servers.strange_headers) as port:
        hook, attempt = simulate(endpoint, f"http://127.0.0.1:{port}/")
    assert hook.state == State.DELIVERED
    assert attempt.response_headers == [["X-Bytes", "ÿä"], ["Content-Length", "3"]]
    assert bytes(attempt.response_body) == b"\x00\xff\xfe"


def test_a_response_with_an_invalid_retry_after_can_be_stored(endpoint: Endpoint) -> None:
    with servers.faulty(
        servers.answer(503, "Retry-After: Wed, 21 Oct 2015 07:28:00 +99999999999999999999")
    ) as port:
        hook, _ = simulate(endpoint, f"http://127.0.0.1:{port}/")
    assert hook.state == State.FAILED


# -- skip


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
def test_a_waiting_hook_can_be_skipped(hook: Hook, state: State) -> None:
    put(hook, state, next_attempt_at=timezone.now())
    skip(hook, acting_user=None)
    hook.refresh_from_db()
    assert (hook.state, hook.skip_reason, hook.next_attempt_at) == (State.SKIPPED, SkipReason.BY_HAND, None)
    assert hook.finished_at is not None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.SENDING, "This hook is being sent now."),
        (State.DELIVERED, "This hook has already finished."),
        (State.FAILED, "This hook has already finished."),
        (State.CANCELLED, "This hook has already finished."),
    ],
)
def test_any_other_hook_cannot_be_skipped(hook: Hook, state: State, words: str) -> None:
    put(hook, state)
    before = row(hook)
    with pytest.raises(NotPossible) as refused:
        skip(hook, acting_user=None)
    assert str(refused.value) == words
    assert row(hook) == before
