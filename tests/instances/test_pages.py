"""The pages of instances: the list with its first steps, a new one, and one instance with everything it can do."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Endpoint, Kind, SkipReason, State
from instances import actions
from instances.models import AccountStatus, Instance
from tests.factories import InstanceFactory, UserFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alice() -> Client:
    """Signed in as alice, who owns the fixture `instance` (number 12345)."""
    return Client()


@pytest.fixture(autouse=True)
def signed_in(alice: Client, instance: Instance) -> None:
    alice.force_login(instance.owner.owner)


@pytest.fixture
def bob() -> Client:
    client = Client()
    client.force_login(UserFactory(email="bob@example.org"))
    return client


def test_the_front_door_leads_people_to_their_instances_and_strangers_to_the_sign_in(alice):
    assert alice.get("/").url == "/instances/"
    assert Client().get("/").url == "/accounts/login/"


def test_the_list_shows_each_instance_with_its_figures(alice, instance):
    actions.receive_message(instance, sender="17680561234", body="hello")
    page = alice.get("/instances/").content.decode()
    assert "12345" in page
    assert "https://example.com/hook" in page
    [(card, _words, figures)] = alice.get("/instances/").context["cards"]
    assert card == instance
    assert (figures.waiting, figures.delivered, figures.failed) == (2, 0, 0)  # the message, and its new chat


def test_the_list_asks_the_same_number_of_queries_for_one_instance_and_for_many(
    alice, instance, django_assert_max_num_queries
):
    for _ in range(5):
        InstanceFactory(owner=instance.owner)
    with django_assert_max_num_queries(10):
        alice.get("/instances/")


def test_without_an_instance_the_list_shows_the_way_to_the_first(bob):
    page = bob.get("/instances/").content.decode()
    assert "No instance yet" in page
    assert "/instances/new/" in page


def test_a_new_instance_leads_to_its_own_page(bob):
    answer = bob.post("/instances/new/", {"name": "Shop", "channel": "sandbox"})
    made = Instance.objects.get(name="Shop")
    assert answer.url == f"/instances/{made.number}/"
    assert (made.owner.owner.email, made.account_status) == ("bob@example.org", AccountStatus.GOT_QR_CODE)
    page = bob.get(answer.url).content.decode()
    assert "Scan with the sandbox phone" in page
    assert "Log out" not in page


def test_an_unknown_channel_makes_no_instance(bob):
    before = Instance.objects.count()
    assert bob.post("/instances/new/", {"channel": "pigeon"}).status_code == 200
    assert Instance.objects.count() == before


@pytest.mark.parametrize("path", ["", "status/"])
def test_a_stranger_finds_no_page_of_somebody_elses_instance(bob, path):
    assert bob.get(f"/instances/12345/{path}").status_code == 404
    assert bob.get(f"/instances/9999999999999/{path}").status_code == 404


@pytest.mark.parametrize("path", ["link", "log-out", "name", "address", "flags", "token", "delete"])
def test_a_stranger_changes_nothing_of_somebody_elses_instance(bob, instance, path):
    token = instance.token
    answer = bob.post(
        f"/instances/12345/{path}/", {"url": "", "name": "guaranteedHooks", "on": "on", "number": "12345"}
    )
    assert answer.status_code == 404
    instance.refresh_from_db()
    endpoint = Endpoint.objects.get(pk=instance.pk)
    assert (instance.token, instance.name, instance.account_status) == (
        token,
        "",
        AccountStatus.AUTHENTICATED,
    )
    assert (endpoint.url, endpoint.guaranteed) == ("https://example.com/hook", False)


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in():
    assert Client().get("/instances/12345/").url == "/accounts/login/?next=/instances/12345/"


def test_scanning_links_the_instance_and_logging_out_unlinks_it(alice, instance):
    card = alice.post("/instances/12345/log-out/", headers=HTMX).content.decode()
    assert "Scan with the sandbox phone" in card
    instance.refresh_from_db()
    assert instance.account_status == AccountStatus.GOT_QR_CODE
    card = alice.post("/instances/12345/link/", headers=HTMX).content.decode()
    assert "Log out" in card
    assert '<div id="steps" hx-swap-oob="true">' in card  # one of them is ticked now
    instance.refresh_from_db()
    assert instance.account_status == AccountStatus.AUTHENTICATED


def test_the_status_card_is_sent_again_only_when_the_status_has_changed(alice, instance):
    seen = alice.get("/instances/12345/").context["status"].cursor
    assert alice.get("/instances/12345/status/", {"seen": seen}).status_code == 204
    actions.change_status(instance, substatus="phone")
    answer = alice.get("/instances/12345/status/", {"seen": seen})
    assert answer.status_code == 200
    assert "The phone is not connected" in answer.content.decode()


def test_every_status_has_words(alice, instance):
    for status in AccountStatus.values:
        for substatus in ["normal", "phone", "battery_low_2", "expired", "timeout"]:
            Instance.objects.update(account_status=status, substatus=substatus)
            assert alice.get("/instances/12345/").status_code == 200


def test_the_address_is_checked_saved_and_read_back(alice, instance):
    card = alice.post("/instances/12345/address/", {"url": " HTTPS://Bot.example.com/in "}, headers=HTMX)
    assert "Saved and read back" in card.content.decode()
    assert 'value="https://bot.example.com/in"' in card.content.decode()
    assert Endpoint.objects.get(pk=instance.pk).url == "https://bot.example.com/in"


def test_a_wrong_address_is_explained_and_changes_nothing(alice, instance):
    card = alice.post("/instances/12345/address/", {"url": "htp://bot"}, headers=HTMX).content.decode()
    assert "The address must begin with http:// or https://. Nothing was changed." in card
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_an_empty_address_switches_hooks_off(alice, instance):
    card = alice.post("/instances/12345/address/", {"url": ""}, headers=HTMX).content.decode()
    assert "this instance has no address now" in card
    assert Endpoint.objects.get(pk=instance.pk).url == ""


@pytest.mark.parametrize(
    "name",
    [
        "ackNotificationsOn",
        "statusNotificationsOn",
        "chatUpdateOn",
        "videoUploadOn",
        "guaranteedHooks",
        "parallelHooks",
    ],
)
def test_each_of_the_six_flags_can_be_switched_on_and_off(alice, instance, name):
    for data, value in (({"name": name, "on": "on"}, True), ({"name": name}, False)):
        card = alice.post("/instances/12345/flags/", data, headers=HTMX).content.decode()
        assert f"Saved: {name} is {'on' if value else 'off'}." in card
        fresh = Instance.objects.get(pk=instance.pk)
        assert actions.read_settings(fresh)[name] is value


def test_a_setting_that_is_no_switch_is_refused(alice, instance):
    assert alice.post("/instances/12345/flags/", {"name": "webhookUrl"}).status_code == 400
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_the_page_says_how_many_hooks_were_skipped_because_a_flag_is_off(alice, instance):
    actions.change_settings(instance, {"statusNotificationsOn": False})
    actions.change_status(instance, substatus="phone")
    hook = instance.endpoint.hooks.get()
    assert (hook.kind, hook.state, hook.skip_reason) == (Kind.STATUS, State.SKIPPED, SkipReason.FLAG_OFF)
    page = alice.get("/instances/12345/").content.decode()
    assert "1 skipped today because this is off" in page


def test_the_page_lists_the_twenty_times_of_guaranteed_hooks(alice):
    times = alice.get("/instances/12345/").context["attempt_times"]
    assert len(times) == 20
    assert times[:3] == [(1, "at once", "at once"), (2, "5 s", "5 s"), (3, "15 s", "20 s")]
    assert times[-1] == (20, "12 h", "65.1 h")


def test_a_new_token_replaces_the_old_one(alice, instance):
    card = alice.post("/instances/12345/token/", headers=HTMX).content.decode()
    fresh = Instance.objects.get(pk=instance.pk).token
    assert fresh != instance.token
    assert fresh in card
    assert instance.token not in card


def test_the_token_stands_nowhere_in_the_open(alice, instance):
    page = alice.get("/instances/12345/").content.decode()
    shown = page.replace(f'value="{instance.token}"', "").split("data-copy=")
    assert instance.token not in shown[0]
    assert all(instance.token not in part.split(">", 1)[1] for part in shown[1:])


def test_renaming(alice, instance):
    alice.post("/instances/12345/name/", {"name": "Shop"})
    instance.refresh_from_db()
    assert instance.name == "Shop"
    alice.post("/instances/12345/name/", {"name": "x" * 101})
    instance.refresh_from_db()
    assert instance.name == "Shop"


def test_deleting_needs_the_number_typed(alice, instance):
    card = alice.post("/instances/12345/delete/", {"number": "54321"}, headers=HTMX).content.decode()
    assert "Nothing was deleted: the number of this instance is 12345." in card
    assert Instance.objects.filter(pk=instance.pk).exists()
    answer = alice.post("/instances/12345/delete/", {"number": " 12345 "}, headers=HTMX)
    assert answer["HX-Redirect"] == "/instances/"
    assert not Instance.objects.filter(pk=instance.pk).exists()


def test_the_first_steps_tick_what_is_true_and_go_away_when_all_is(alice, instance):
    actions.change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    actions.change_settings(instance, {"webhookUrl": None})
    steps = alice.get("/instances/12345/").context["steps"]
    assert [step.done for step in steps] == [False, False, False, False, False]
    actions.link_sandbox(instance)
    actions.change_settings(instance, {"webhookUrl": "https://example.com/hook"})
    steps = alice.get("/instances/12345/").context["steps"]
    assert [step.done for step in steps] == [True, True, False, False, False]
    actions.send_message(instance, chat_id="17680561234", body="hello")
    for simulated in (True, False):
        instance.endpoint.hooks.create(
            kind=Kind.ACK, body=b"{}", state=State.DELIVERED, simulated=simulated, finished_at=timezone.now()
        )
    assert alice.get("/instances/12345/").context["steps"] == []


def test_an_unpaid_instance_says_so_and_offers_no_button(alice, instance):
    Instance.objects.update(paid_until=timezone.now())
    page = alice.get("/instances/12345/").content.decode()
    assert "Nothing is sent, received or simulated." in page
    assert "Log out" not in page


@pytest.mark.parametrize("page", ["9" * 5000, "10000", "0", "-1", "\u0967\u0966\u0966\u0966\u0966", "x"])
def test_a_page_that_cannot_be_is_the_first(alice, page):
    assert alice.get("/instances/", {"page": page}).status_code == 200


def chooser_of(text):
    """What a fragment brings to the chooser at the top of the page: its badge, and the row of instance 12345."""
    badge = re.search(
        r'<span class="chooser-state" id="chooser-state" hx-swap-oob="true">.*?</svg>(.+?)</span>', text
    )
    row = re.search(r'id="chooser-word-12345" hx-swap-oob="true">(.+?)</span>', text)
    return (badge[1], row[1]) if badge and row else None


def test_the_chooser_follows_what_the_buttons_of_the_status_do(alice, instance):
    page = "/instances/12345/"
    answer = alice.post(f"{page}log-out/", headers=HTMX).content.decode()
    assert chooser_of(answer) == ("Waiting for the scan", "Waiting for the scan")
    answer = alice.post(f"{page}link/", headers=HTMX).content.decode()
    assert chooser_of(answer) == ("Authenticated", "Authenticated")
    polled = alice.get(f"{page}status/?seen=older", headers=HTMX).content.decode()
    assert chooser_of(polled) == ("Authenticated", "Authenticated")
    assert "hx-swap-oob" not in alice.get(page).content.decode()
