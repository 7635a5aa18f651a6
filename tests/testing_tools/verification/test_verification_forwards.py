"""A verification that forwards: the bin and the instance's own URL each receive their own hook for every event."""

import pytest
from django.db import transaction

from hooks import outbox, tallies
from hooks.models import Endpoint, Hook, Kind, SkipReason, State
from instances.actions.messages import receive_message
from testing_tools.verification.actions import verifications as verification_actions
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
OWN = "https://example.org/hook"


@pytest.fixture
def instance():
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), url=OWN, guaranteed=True)


def hooks_of(instance):
    """The hooks of its messages; the first message also creates a chat hook."""
    messages = Hook.objects.filter(endpoint=instance.pk, kind=Kind.MESSAGE)
    return list(messages.order_by("id").values_list("to_url", "state"))


def emitted(instance):
    return tallies.emitted([instance.pk])[instance.pk] - Hook.objects.filter(endpoint=instance.pk).count()


def test_both_receive_the_event_the_bin_first_and_both_are_counted(instance):
    bin = verification_actions.start_verification(instance, forwards=True, acting_user=None)
    receive_message(instance, sender="17680561234", body="hello")
    assert hooks_of(instance) == [(bin.url, "queued"), (OWN, "queued")]
    first, second = Hook.objects.filter(endpoint=instance.pk, kind=Kind.MESSAGE).order_by("id")
    assert bytes(first.body) == bytes(second.body)
    assert first.public_id != second.public_id
    assert (first.attempts_allowed, second.attempts_allowed) == (20, 20)
    assert emitted(instance) == 0


def test_without_forwarding_only_the_bin_receives_it(instance):
    verification_actions.start_verification(instance, acting_user=None)
    receive_message(instance, sender="17680561234", body="hello")
    assert hooks_of(instance) == [("", "queued")]


def test_after_the_stop_each_hook_keeps_its_url_so_none_arrives_twice(instance):
    bin = verification_actions.start_verification(instance, forwards=True, acting_user=None)
    receive_message(instance, sender="17680561234", body="hello")
    verification_actions.stop_verification(instance, acting_user=None)
    receive_message(instance, sender="17680561234", body="again")
    assert [url for url, _ in hooks_of(instance)] == [bin.url, OWN, ""]
    assert Endpoint.objects.get(pk=instance.pk).override_also_sends_to_own is False


def test_a_skipped_hook_is_skipped_once(instance):
    verification_actions.start_verification(instance, forwards=True, acting_user=None)
    with transaction.atomic():
        events = [
            outbox.Event(Kind.ACK, b"{}", skip=SkipReason.FLAG_OFF),
            outbox.Event(Kind.MESSAGE, b"{}"),
        ]
        made = outbox.emit_all(instance.pk, events)
    assert [hook.state for hook in made] == [
        State.SKIPPED,
        State.QUEUED,
        State.QUEUED,
    ]  # the bin, and the own URL
    assert Hook.objects.filter(endpoint=instance.pk).count() == 3
    assert emitted(instance) == 0
    assert tallies.totals().skipped == 1


def test_without_an_own_url_nothing_is_forwarded(instance):
    Endpoint.objects.filter(pk=instance.pk).update(url="")
    verification_actions.start_verification(instance, forwards=True, acting_user=None)
    receive_message(instance, sender="17680561234", body="hello")
    assert hooks_of(instance) == [("", "queued")]
    assert emitted(instance) == 0


def test_the_page_offers_forwarding_and_shows_it(client, instance):
    client.force_login(instance.owner.owner)
    address = f"/testing/verification/?instance={instance.number}"
    assert "Forward to your own URL too" in client.get(address).content.decode()
    client.post(f"/testing/verification/start/?instance={instance.number}", {"forwards": "on"})
    page = client.get(address).content.decode()
    assert "receives them too" in page
    assert "paused until you stop" not in page
    # extending keeps the forwarding
    assert '<input type="hidden" name="forwards" value="on">' in page
