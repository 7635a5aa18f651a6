"""A verification sends an instance's hooks to its bin for half an hour and leaves its own URL unchanged."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from hooks.actions.endpoints import configure
from hooks.models import Endpoint
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import AccountStatus
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import verifications as verification_actions
from testing_tools.verification.models import Bin
from testing_tools.verification.verification_checklist import checklist, is_silent
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
OWN = "https://example.org/hook"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def instance():
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), name="Shop", url=OWN)


@pytest.fixture
def alice(client, instance):
    client.force_login(instance.owner.owner)
    return client


def post(client, what, instance, **more):
    return client.post(f"/testing/verification/{what}/?instance={instance.number}", **more)


def endpoint_of(instance):
    return Endpoint.objects.get(pk=instance.pk)


def test_the_page_says_first_what_a_verification_does(alice, instance):
    page = alice.get(f"/testing/verification/?instance={instance.number}").content.decode()
    text = "Hooks go to a bin instead of your URL until you stop, or for 30 minutes."
    assert text in page
    assert page.index(text) < page.index("Start verification")
    assert OWN in page
    assert instance.bin.url in page


def test_starting_sends_the_hooks_to_the_bin_for_thirty_minutes(alice, instance):
    before = timezone.now()
    response = post(alice, "start", instance)
    assert response["Location"] == f"/testing/verification/?instance={instance.number}"
    endpoint = endpoint_of(instance)
    assert endpoint.url == OWN
    assert endpoint.effective_url() == instance.bin.url
    assert before <= endpoint.override_until - timedelta(minutes=30) <= timezone.now()
    assert endpoint.effective_url(endpoint.override_until) == OWN  # at the end, without a write


def test_stopping_sends_hooks_to_the_own_url_again(alice, instance):
    post(alice, "start", instance)
    page = alice.get(post(alice, "stop", instance)["Location"]).content.decode()
    assert f"Verification stopped. Hooks go to {OWN} again." in page
    assert endpoint_of(instance).effective_url() == OWN
    assert not endpoint_of(instance).is_overridden()


def test_stopping_without_a_verification_changes_nothing(alice, instance):
    assert post(alice, "stop", instance).status_code == 302
    assert endpoint_of(instance).effective_url() == OWN


def test_a_url_changed_meanwhile_is_used_afterwards(alice, instance):
    post(alice, "start", instance)
    configure(endpoint_of(instance), url="https://example.org/new")
    assert endpoint_of(instance).effective_url() == instance.bin.url
    post(alice, "stop", instance)
    assert endpoint_of(instance).effective_url() == "https://example.org/new"


def test_starting_again_restarts_the_thirty_minutes(alice, instance):
    post(alice, "start", instance)
    soon = timezone.now() + timedelta(minutes=1)
    Endpoint.objects.filter(pk=instance.pk).update(override_until=soon)
    post(alice, "start", instance)
    assert endpoint_of(instance).override_until > soon + timedelta(minutes=28)
    assert Bin.objects.count() == 1


def test_an_instance_without_a_url_can_be_verified(alice, instance):
    configure(endpoint_of(instance), url="")
    post(alice, "start", instance)
    assert endpoint_of(instance).effective_url() == instance.bin.url
    page = alice.get(post(alice, "stop", instance)["Location"]).content.decode()
    assert "The instance has no URL of its own, so its hooks are not sent." in page
    assert endpoint_of(instance).effective_url() == ""


def test_the_sandbox_message_is_a_real_event(alice, instance):
    post(alice, "start", instance)
    assert post(alice, "message", instance, headers=HTMX).status_code == 204
    [hook] = endpoint_of(instance).hooks.filter(kind="message")
    assert (hook.state, hook.simulated) == ("queued", False)


def test_another_accounts_instance_is_404_and_nothing_changes(client, instance):
    client.force_login(InstanceFactory(owner=AccountFactory(email="bob@example.org")).owner.owner)
    assert client.get(f"/testing/verification/?instance={instance.number}").status_code == 404
    assert client.get(f"/testing/verification/checklist/?instance={instance.number}").status_code == 404
    assert [post(client, what, instance).status_code for what in ("start", "stop", "message")] == [
        404,
        404,
        404,
    ]
    assert endpoint_of(instance).override_until is None
    assert not instance.messages.exists()
    assert not Bin.objects.filter(instance=instance).exists()


@pytest.mark.parametrize("what", ["start", "stop", "message"])
def test_only_post_is_allowed(alice, instance, what):
    assert alice.get(f"/testing/verification/{what}/?instance={instance.number}").status_code == 405


def test_without_an_instance_the_page_links_to_create_one(client):
    client.force_login(AccountFactory(email="bob@example.org").owner)
    page = client.get("/testing/verification/").content.decode()
    assert "No instance yet" in page
    assert "/instances/new/" in page


def test_a_poll_returns_the_panel_after_the_verification_was_stopped_elsewhere(alice, instance):
    post(alice, "start", instance)
    until = str(int(endpoint_of(instance).override_until.timestamp()))
    news = f"/testing/bins/{instance.bin.key}/news/?after=0&until="
    assert alice.get(news + until, headers=HTMX).status_code == 204
    post(alice, "stop", instance)
    page = alice.get(news + until, headers=HTMX).content.decode()
    assert re.search(r'id="verification"\s+aria-labelledby="verify-title"\s+hx-swap-oob="true"', page)
    assert "Verification is not running" in page
    assert alice.get(news, headers=HTMX).status_code == 204


def silent(instance):
    """A verification that has run for two minutes."""
    verification_actions.start_verification(instance, acting_user=None)
    Endpoint.objects.filter(pk=instance.pk).update(override_until=timezone.now() + timedelta(minutes=28))


def test_after_a_minute_of_silence_the_page_shows_the_checklist(alice, instance):
    silent(instance)
    page = alice.get(f"/testing/verification/checklist/?instance={instance.number}").content.decode()
    assert "No requests for a minute." in page
    assert "ackNotificationsOn (acks of sent messages)" in page


def test_there_is_no_checklist_before_a_minute_or_after_a_capture(instance):
    bin = bin_actions.open_bin(instance)
    assert is_silent(bin, endpoint_of(instance)) is False
    verification_actions.start_verification(instance, acting_user=None)
    assert is_silent(bin, endpoint_of(instance)) is False
    silent(instance)
    assert is_silent(bin, endpoint_of(instance)) is True
    capture_actions.capture(bin.key, method="POST")
    assert is_silent(bin, endpoint_of(instance)) is False


def test_the_checklist_marks_what_passed(instance):
    change_settings(
        instance, changes={"ackNotificationsOn": True, "statusNotificationsOn": True, "chatUpdateOn": True}
    )
    before = checklist(instance, endpoint_of(instance))
    assert [check.passed for check in before] == [True, True, True, True, True, False]
    assert before[-1].text == "This instance has had no event yet."
    receive_message(instance, sender="17680561234", body="hello")
    instance.account_status = AccountStatus.GOT_QR_CODE
    instance.ack_notifications_on = False
    after = checklist(instance, endpoint_of(instance))
    assert [check.text for check in after if not check.passed] == [
        "The instance is not authenticated: its status is “got qr code”.",
        "Off, so these create no hooks: ackNotificationsOn (acks of sent messages).",
        f"{endpoint_of(instance).hooks.count()} hooks are waiting to be sent.",
    ]


def test_an_unlinked_instance_receives_no_sandbox_message(alice, instance):
    post(alice, "start", instance)
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)

    page = alice.get(f"/testing/verification/?instance={instance.number}").content.decode()
    assert 'disabled aria-describedby="not-linked"' in page
    assert "You cannot send a sandbox message: no messenger is linked." in page

    for headers in ({}, HTMX):
        response = post(alice, "message", instance, headers=headers)
        assert (response.status_code, response.get("HX-Refresh")) == (
            (200, "true") if headers else (302, None)
        )
    assert "The instance is not authenticated (got qr code), so no message reaches it." in (
        alice.get(f"/testing/verification/?instance={instance.number}").content.decode()
    )
    assert not instance.messages.exists()


def test_a_linked_instance_can_receive_a_sandbox_message(alice, instance):
    post(alice, "start", instance)
    page = alice.get(f"/testing/verification/?instance={instance.number}").content.decode()
    assert "not-linked" not in page
    assert "no-contact" not in page
