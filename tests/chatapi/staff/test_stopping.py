"""A stopped instance lets nothing in or out and loses nothing; a blocked account turns its people and keys away.

That dispatchers skip a paused endpoint is tested in tests/hooks/dispatch/test_claims.py and test_pause.py.
"""

from django.test import Client
from django.utils import timezone

from accounts.actions import members
from accounts.actions.keys import issue_key
from accounts.models import User
from hooks.actions import stopping
from hooks.actions.endpoints import pause, resume
from hooks.explain.sentences import explain_hook
from hooks.models import Hook, Kind, PauseReason, SkipReason, State, Tally
from instances.actions.lifecycle import create_instance
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.stopping import block_account, start_instance, stop_instance, unblock_account
from instances.models import Instance, OutgoingMessage, StopReason
from instances.sending import outgoing
from tests.factories import UserFactory


def wire(instance: Instance, method: str, **data: str) -> tuple[int, dict[str, str]]:
    address = f"/instance{instance.number}/{method}?token={instance.token}"
    answer = Client().post(address, data) if data else Client().get(address)
    return answer.status_code, answer.json()


def test_a_stopped_instance_answers_403_in_words(instance: Instance, charlie: User) -> None:
    assert stop_instance(instance, reason="spam", acting_user=charlie)
    refusal = {"error": "Instance is stopped. Ask the administrator of this site."}
    assert wire(instance, "messages") == (403, refusal)
    assert wire(instance, "sendMessage", phone="15551234567", body="hi") == (403, refusal)
    assert not OutgoingMessage.objects.exists()
    status, answer = wire(instance, "status")
    assert (status, answer["accountStatus"]) == (200, "authenticated")


def test_its_status_says_so(instance: Instance, charlie: User, alice: Client) -> None:
    stop_instance(instance, reason="spam", acting_user=charlie)
    answer = Client().get(f"/instance12345/status?token={instance.token}&full=1").json()
    assert answer["statusData"]["title"] == "Stopped"
    page = alice.get("/instances/12345/").content.decode()
    assert "Staff has stopped it. Messages and hooks stay in their queues" in page
    assert "Resume" not in page


def test_events_are_recorded_and_their_hooks_skipped(instance: Instance, charlie: User) -> None:
    stop_instance(instance, reason="spam", acting_user=charlie)
    receive_message(instance, sender="15551234567", body="hello")
    [hook] = Hook.objects.filter(kind=Kind.MESSAGE)
    assert (hook.state, hook.skip_reason) == (State.SKIPPED, SkipReason.STOPPED)
    assert explain_hook(hook) == "Not sent: the instance was stopped."


def test_what_waits_is_held_back_and_goes_on_at_the_start(instance: Instance, charlie: User) -> None:
    receive_message(instance, sender="15551234567", body="before")
    send_message(instance, chat_id="15551234567", body="out")
    stop_instance(instance, reason="spam", acting_user=charlie)
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.pause_reason == PauseReason.STOPPED
    assert outgoing.send_due() == 0
    resume(instance.endpoint, acting_user=instance.owner.owner)  # its owner can't undo it
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.pause_reason == PauseReason.STOPPED

    assert start_instance(instance, acting_user=charlie)
    instance.endpoint.refresh_from_db()
    assert (instance.stopped_at, instance.endpoint.paused_at) == (None, None)
    assert outgoing.send_due() == 1
    assert Hook.objects.filter(kind=Kind.MESSAGE, state=State.QUEUED).count() == 2


def test_what_its_owner_had_paused_stays_paused_after_the_start(instance: Instance, charlie: User) -> None:
    pause(instance.endpoint, acting_user=instance.owner.owner)
    stop_instance(instance, reason="spam", acting_user=charlie)
    start_instance(instance, acting_user=charlie)
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.pause_reason == PauseReason.BY_HAND


def test_stopping_twice_and_starting_what_runs_change_nothing(instance: Instance, charlie: User) -> None:
    assert stop_instance(instance, reason="spam", acting_user=charlie)
    since = instance.stopped_at
    assert not stop_instance(instance, reason="again", acting_user=charlie)
    assert instance.stopped_at == since
    assert start_instance(instance, acting_user=charlie)
    assert not start_instance(instance, acting_user=charlie)


def test_cancelling_all_that_waits(instance: Instance, charlie: User) -> None:
    for text in ("one", "two"):
        receive_message(instance, sender="15551234567", body=text)
    sending = Hook.objects.create(
        endpoint=instance.endpoint,
        kind=Kind.MESSAGE,
        body=b"{}",
        state=State.SENDING,
        lease_until=timezone.now(),
    )
    before = Tally.objects.get(pk=instance.pk).cancelled
    waiting = Hook.objects.filter(state=State.QUEUED).count()
    assert stopping.cancel_waiting(instance.pk, acting_user=charlie) == (waiting, False)
    assert not Hook.objects.filter(state__in=(State.QUEUED, State.RETRYING)).exists()
    sending.refresh_from_db()
    assert sending.state == State.SENDING
    assert Tally.objects.get(pk=instance.pk).cancelled == before + waiting
    assert stopping.cancel_waiting(instance.pk, acting_user=charlie) == (0, False)


def test_a_blocked_accounts_owner_sees_one_page_everywhere(
    instance: Instance, charlie: User, alice: Client, settings: object
) -> None:
    settings.SUPPORT_EMAIL = "help@example.org"  # type: ignore[attr-defined]
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    for page in ("/", "/instances/", "/instances/12345/", "/log/", "/account/", "/accounts/password/change/"):
        answer = alice.get(page)
        assert answer.status_code == 403, page
        assert "This account is blocked" in answer.content.decode()
        assert "mailto:help@example.org" in answer.content.decode()
        assert "fraud" not in answer.content.decode()
    assert alice.post("/instances/12345/rename/", {"name": "x"}).status_code == 403
    assert alice.get("/log/", headers={"accept": "application/json"}).json() == {
        "error": "This account is blocked. Ask help@example.org."
    }
    assert Instance.objects.get().name == "Shop"
    assert alice.post("/accounts/logout/").status_code == 302


def test_somebody_with_the_password_can_still_sign_in_and_learn_it(instance: Instance, charlie: User) -> None:
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    client = Client()
    answer = client.post(
        "/accounts/login/", {"login": "alice@example.org", "password": "password"}, follow=True
    )
    assert (answer.status_code, "This account is blocked" in answer.content.decode()) == (403, True)


def test_its_keys_and_tokens_get_403_with_a_sentence(instance: Instance, charlie: User) -> None:
    _, key = issue_key(instance.owner, acting_user=instance.owner.owner)
    bearer = {"authorization": f"Bearer {key}"}
    assert Client().get("/api/v1/instances/", headers=bearer).status_code == 200
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    refusal = {"error": "This account is blocked. Ask the administrator of this site."}
    answer = Client().get("/api/v1/instances/", headers=bearer)
    assert (answer.status_code, answer.json()) == (403, refusal)
    assert wire(instance, "status") == (403, refusal)
    assert wire(instance, "sendMessage", phone="15551234567", body="hi") == (403, refusal)


def test_its_hooks_are_skipped_with_the_reason(instance: Instance, charlie: User) -> None:
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    receive_message(instance, sender="15551234567", body="hello")
    [hook] = Hook.objects.filter(kind=Kind.MESSAGE)
    assert (hook.state, hook.skip_reason) == (State.SKIPPED, SkipReason.BLOCKED)


def test_its_members_see_that_the_instance_is_stopped_and_why(instance: Instance, charlie: User) -> None:
    bob = UserFactory(email="bob@example.org")
    _, token = members.invite(
        instance.owner, email="bob@example.org", role="viewer", acting_user=instance.owner.owner
    )
    members.accept(token, acting_user=bob)
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    client = Client()
    client.force_login(bob)
    assert (
        "Its account is blocked. Messages and hooks stay in their queues"
        in client.get("/instances/12345/").content.decode()
    )
    assert client.get("/account/").status_code == 200


def test_an_unblocked_account_goes_on_but_for_what_was_stopped_by_itself(
    instance: Instance, charlie: User, alice: Client
) -> None:
    other = create_instance(instance.owner, name="Other")
    stop_instance(other, reason="spam", acting_user=charlie)
    assert block_account(instance.owner, reason="fraud", acting_user=charlie)
    assert not block_account(instance.owner, reason="fraud", acting_user=charlie)
    instance.refresh_from_db()
    assert instance.stop_reason == StopReason.BLOCKED
    assert not start_instance(instance, acting_user=charlie)

    assert unblock_account(instance.owner, acting_user=charlie)
    instance.refresh_from_db()
    other.refresh_from_db()
    assert (instance.stopped_at, instance.stop_reason) == (None, "")
    assert other.stop_reason == StopReason.STAFF
    assert alice.get("/instances/12345/").status_code == 200
    assert not unblock_account(instance.owner, acting_user=charlie)


def test_an_instance_that_is_started_while_its_account_is_blocked_waits_for_the_account(
    instance: Instance, charlie: User
) -> None:
    stop_instance(instance, reason="spam", acting_user=charlie)
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    assert start_instance(instance, acting_user=charlie)
    assert (instance.is_stopped, instance.stop_reason) == (True, StopReason.BLOCKED)
    unblock_account(instance.owner, acting_user=charlie)
    instance.refresh_from_db()
    assert not instance.is_stopped
