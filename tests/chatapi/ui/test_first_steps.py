"""The first steps are on every page until they are done or dismissed, for users who may take them."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Hook, Kind, State
from instances.actions.lifecycle import link_sandbox
from instances.actions.sending.accept import send_message
from instances.actions.session import log_out
from instances.actions.settings import change_settings
from instances.models import AccountStatus, Instance
from tests.factories import AccountFactory, InstanceFactory, member_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    """alice's, made a moment ago: nothing is linked, no address is set."""
    owner = AccountFactory(email="alice@example.org")
    return InstanceFactory(owner=owner, name="Shop", account_status=AccountStatus.GOT_QR_CODE)


@pytest.fixture
def alice(client: Client, instance: Instance) -> Client:
    client.force_login(instance.owner.owner)
    return client


def strip(client: Client, address: str) -> str:
    """The words of the strip on the page at `address`; empty without one."""
    page = client.get(address).content.decode()
    found = re.search(r'<section class="strip".*?<p>(.*?)</p>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", found[1]).split()) if found else ""


def test_each_page_says_which_step_is_next(alice: Client, instance: Instance) -> None:
    said = []
    for _ in range(3):
        said.append(strip(alice, "/log/"))
        if len(said) == 1:
            link_sandbox(instance)
        else:
            change_settings(instance, changes={"webhookUrl": "https://example.com/hook"})

    assert said == [
        "First steps: 0 of 5 done. Next: Link the instance",
        "First steps: 1 of 5 done. Next: Set the webhook URL",
        "First steps: 2 of 5 done. Next: Simulate a hook",
    ]


def test_pages_that_are_about_no_instance_do_not_have_it(alice: Client) -> None:
    assert strip(alice, "/account/") == ""
    assert strip(alice, "/instances/new/") == ""


def test_a_page_with_the_whole_list_does_not_say_it_twice(alice: Client, instance: Instance) -> None:
    page = alice.get(instance.get_absolute_url()).content.decode()

    assert 'id="first-steps"' in page
    assert 'class="strip"' not in page


def test_a_viewer_has_no_steps_to_take(client: Client, instance: Instance) -> None:
    client.force_login(member_of(instance.owner, "viewer", "vera@example.org"))

    assert strip(client, f"/log/?instance={instance.number}") == ""
    assert 'id="first-steps"' not in client.get(instance.get_absolute_url()).content.decode()


def test_they_are_put_away_for_all_instances_and_got_back(alice: Client, instance: Instance) -> None:
    InstanceFactory(owner=instance.owner, account_status=AccountStatus.GOT_QR_CODE)
    answer = alice.post("/account/first-steps/", {"next": "/log/?kind=ack"})
    assert (answer.status_code, answer["Location"]) == (302, "/log/?kind=ack")
    assert strip(alice, "/log/") == ""
    assert 'id="first-steps"' not in alice.get("/instances/").content.decode()
    assert "You have dismissed the checklist." in alice.get("/account/").content.decode()

    alice.post("/account/first-steps/", {"shown": "yes"})
    assert strip(alice, "/log/").startswith("First steps: 0 of 5 done.")
    assert "You have dismissed the checklist." not in alice.get("/account/").content.decode()


def complete(instance: Instance) -> None:
    link_sandbox(instance)
    change_settings(instance, changes={"webhookUrl": "https://example.com/hook", "ackNotificationsOn": True})
    send_message(instance, chat_id="17680561234", body="hello")
    Instance.objects.filter(pk=instance.pk).update(stored_message_number=1)
    for simulated in (True, False):
        instance.endpoint.hooks.create(
            kind=Kind.ACK, body=b"{}", state=State.DELIVERED, simulated=simulated, finished_at=timezone.now()
        )


def test_once_done_they_never_come_back(alice: Client, instance: Instance) -> None:
    complete(instance)
    assert strip(alice, "/log/") == ""
    log_out(instance)
    change_settings(instance, changes={"webhookUrl": None})
    Hook.objects.all().delete()  # by age
    for page in ("/instances/", instance.get_absolute_url()):
        assert 'id="first-steps"' not in alice.get(page).text
    assert strip(alice, "/log/") == ""


def test_a_logout_after_the_last_step_does_not_undo_the_first_one(alice: Client, instance: Instance) -> None:
    """No page was open when the last step was done."""
    complete(instance)
    log_out(instance)
    change_settings(instance, changes={"webhookUrl": None})
    assert strip(alice, "/log/") == ""


def test_the_step_that_needs_acks_turns_them_on(alice: Client, instance: Instance) -> None:
    complete(instance)
    Hook.objects.filter(simulated=False).delete()
    change_settings(instance, changes={"ackNotificationsOn": False})
    for page in ("/log/?kind=ack", "/instances/", instance.get_absolute_url()):
        shown = " ".join(re.sub(r"<[^>]+>", " ", alice.get(page).text).split())
        assert "ackNotificationsOn is off. Turn on" in shown
    answer = alice.post(f"/instances/{instance.number}/turn-on-acks/", {"next": "/log/?kind=ack"})
    assert (answer.status_code, answer["Location"]) == (302, "/log/?kind=ack")
    assert Instance.objects.get().ack_notifications_on
    page = alice.get("/log/?kind=ack").text
    assert "is off." not in page
    assert f"ackNotificationsOn of {instance} is on." in page
    elsewhere = alice.post(
        f"/instances/{instance.number}/turn-on-acks/", {"next": "https://elsewhere.example/"}
    )
    assert elsewhere["Location"] == instance.get_absolute_url()


def test_they_are_dismissed_for_good(alice: Client, instance: Instance) -> None:
    alice.post("/account/first-steps/", {"next": "/log/"})
    alice.logout()
    alice.force_login(instance.owner.owner)
    InstanceFactory(owner=instance.owner, account_status=AccountStatus.GOT_QR_CODE)
    for page in ("/log/", "/instances/", instance.get_absolute_url()):
        assert "First steps" not in alice.get(page).text


def test_nobody_is_led_to_another_site(alice: Client) -> None:
    answer = alice.post("/account/first-steps/", {"next": "https://elsewhere.example/"})

    assert answer["Location"] == "/account/"
