"""The overview of one instance: its status with the buttons that apply, token, first steps; and what strangers get."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Endpoint, Kind, SkipReason, State
from instances.actions.lifecycle import link_sandbox
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import AccountStatus, Instance
from tests.factories import member_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("path", ["", "status/"])
def test_a_stranger_finds_no_page_of_somebody_elses_instance(bob, path):
    assert bob.get(f"/instances/12345/{path}").status_code == 404
    assert bob.get(f"/instances/9999999999999/{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["link", "press/logout", "name", "address", "address/test", "settings", "token", "delete"]
)
def test_a_stranger_changes_nothing_of_somebody_elses_instance(bob, instance, path):
    token = instance.token
    answer = bob.post(
        f"/instances/12345/{path}/",
        {"url": "", "card": "flags", "shown": "guaranteedHooks", "guaranteedHooks": "on", "number": "12345"},
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


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(instance):
    assert Client().get("/instances/12345/").headers["Location"] == "/accounts/login/?next=/instances/12345/"


def test_scanning_links_the_instance_and_logging_out_unlinks_it(alice, instance):
    card = alice.post("/instances/12345/press/logout/", headers=HTMX).content.decode()
    assert "Scan with the sandbox phone" in card
    instance.refresh_from_db()
    assert instance.account_status == AccountStatus.GOT_QR_CODE
    card = alice.post("/instances/12345/link/", headers=HTMX).content.decode()
    assert "Log out" in card
    assert '<div id="steps" hx-swap-oob="true">' in card  # one of them is ticked now
    instance.refresh_from_db()
    assert instance.account_status == AccountStatus.AUTHENTICATED


def test_the_status_card_is_sent_again_only_when_the_status_has_changed(alice, instance):
    seen = alice.get("/instances/12345/").context["seen"]
    assert alice.get("/instances/12345/status/", {"seen": seen}).status_code == 204
    change_status(instance, substatus="phone")
    answer = alice.get("/instances/12345/status/", {"seen": seen})
    assert answer.status_code == 200
    assert "The phone is not connected" in answer.content.decode()


def test_every_status_has_words(alice, instance):
    for status in AccountStatus.values:
        for substatus in ["normal", "phone", "battery_low_2", "expired", "timeout"]:
            Instance.objects.update(account_status=status, substatus=substatus)
            assert alice.get("/instances/12345/").status_code == 200


def test_the_page_says_how_many_hooks_were_skipped_because_a_flag_is_off(alice, instance):
    change_settings(instance, changes={"statusNotificationsOn": False})
    change_status(instance, substatus="phone")
    hook = instance.endpoint.hooks.get()
    assert (hook.kind, hook.state, hook.skip_reason) == (Kind.STATUS, State.SKIPPED, SkipReason.FLAG_OFF)
    page = alice.get("/instances/12345/").content.decode()
    assert "1 skipped today because this is off" in page


def test_the_page_lists_the_twenty_times_of_guaranteed_hooks(alice):
    times = alice.get("/instances/12345/").context["attempt_times"]
    assert len(times) == 20
    assert times[:3] == [(1, "immediately", "immediately"), (2, "5 s", "5 s"), (3, "15 s", "20 s")]
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


def test_the_first_steps_tick_what_is_true_and_go_away_when_all_is(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    change_settings(instance, changes={"webhookUrl": None})
    steps = alice.get("/instances/12345/").context["steps"]
    assert [step.done for step in steps] == [False, False, False, False, False]
    link_sandbox(instance)
    change_settings(instance, changes={"webhookUrl": "https://example.com/hook"})
    steps = alice.get("/instances/12345/").context["steps"]
    assert [step.done for step in steps] == [True, True, False, False, False]
    send_message(instance, chat_id="17680561234", body="hello")
    for simulated in (True, False):
        instance.endpoint.hooks.create(
            kind=Kind.ACK, body=b"{}", state=State.DELIVERED, simulated=simulated, finished_at=timezone.now()
        )
    assert alice.get("/instances/12345/").context["steps"] == []


def test_an_unpaid_instance_says_so_and_offers_no_button(alice, instance):
    Instance.objects.update(paid_until=timezone.now())
    page = alice.get("/instances/12345/").content.decode()
    assert "messages, hooks and simulations are stopped." in page
    assert "Log out" not in page


def chooser_of(text):
    """What a fragment brings to the chooser at the top of the page: its badge, and the row of instance 12345."""
    badge = re.search(r'id="chooser-state"\s+hx-swap-oob="true"\s*>.*?</svg>(.+?)</span>', text)
    row = re.search(r'id="chooser-word-12345"\s+hx-swap-oob="true"\s*>(.+?)</span>', text)
    return (badge[1], row[1]) if badge and row else None


def test_the_chooser_follows_what_the_buttons_of_the_status_do(alice, instance):
    page = "/instances/12345/"
    answer = alice.post(f"{page}press/logout/", headers=HTMX).content.decode()
    assert chooser_of(answer) == ("Waiting for the scan", "Waiting for the scan")
    answer = alice.post(f"{page}link/", headers=HTMX).content.decode()
    assert chooser_of(answer) == ("Authenticated", "Authenticated")
    polled = alice.get(f"{page}status/?seen=older", headers=HTMX).content.decode()
    assert chooser_of(polled) == ("Authenticated", "Authenticated")
    assert "hx-swap-oob" not in alice.get(page).content.decode()


def test_a_button_that_does_not_apply_any_more_does_nothing(alice, instance):
    """Another window has logged out meanwhile: the button does nothing, and the card says how things are."""
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    changed = Instance.objects.get(pk=instance.pk).status_changed_at
    card = alice.post("/instances/12345/press/logout/", headers=HTMX).content.decode()
    assert "Not linked yet" in card
    assert Instance.objects.get(pk=instance.pk).status_changed_at == changed


def buttons_on(client):
    page = client.get("/instances/12345/").content.decode()
    return re.findall(r'id="press-([a-z-]+)"', page)


@pytest.mark.parametrize(
    ("status", "substatus", "reason", "shown"),
    [
        ("authenticated", "normal", "", ["reboot", "logout"]),
        ("authenticated", "expired", "", ["expiry", "reboot", "logout"]),
        ("loading", "normal", "conflict", ["takeover", "reboot", "logout"]),
        ("loading", "normal", "syncing", ["retry", "reboot", "logout"]),
        ("init", "normal", "", ["reboot"]),
        ("got qr code", "normal", "", ["link"]),
        ("got qr code", "expired", "", ["new-code", "link"]),
    ],
)
def test_only_the_buttons_that_apply_now_are_there(alice, instance, status, substatus, reason, shown):
    Instance.objects.update(
        account_status=status, substatus=substatus, loading_reason=reason, status_changed_at=timezone.now()
    )
    assert buttons_on(alice) == shown


@pytest.mark.parametrize(
    ("button", "status", "substatus", "reason", "after"),
    [
        ("takeover", "loading", "normal", "conflict", ("authenticated", "normal")),
        ("retry", "loading", "normal", "syncing", ("authenticated", "normal")),
        ("expiry", "got qr code", "expired", "", ("got qr code", "normal")),
        ("reboot", "authenticated", "timeout", "", ("authenticated", "normal")),
        ("logout", "authenticated", "normal", "", ("got qr code", "normal")),
    ],
)
def test_each_button_does_what_the_method_of_the_wire_contract_does(
    alice, instance, button, status, substatus, reason, after
):
    Instance.objects.update(account_status=status, substatus=substatus, loading_reason=reason)
    assert alice.post(f"/instances/12345/press/{button}/", headers=HTMX).status_code == 200
    fresh = Instance.objects.get(pk=instance.pk)
    assert (fresh.account_status, fresh.substatus) == after


def test_the_code_counts_down_and_is_stale_after_its_minute(alice, instance):
    change_status(instance, account_status=AccountStatus.GOT_QR_CODE)
    page = alice.get("/instances/12345/").content.decode()
    assert "<svg" in page
    assert 'class="qr-code"' in page
    until = (instance.status_changed_at + timedelta(minutes=1)).isoformat()
    assert f'data-countdown="{until}"' in page
    seen = alice.get("/instances/12345/").context["seen"]
    Instance.objects.update(status_changed_at=timezone.now() - timedelta(minutes=1))
    answer = alice.get("/instances/12345/status/", {"seen": seen})
    card = answer.content.decode()
    assert "This code has expired" in card
    assert "data-countdown" not in card
    card = alice.post("/instances/12345/press/expiry/", headers=HTMX).content.decode()
    assert "data-countdown" in card


def test_a_status_that_goes_to_and_fro_is_said_in_one_line(alice, instance):
    for substatus in ("phone", "normal") * 7:
        change_status(instance, substatus=substatus)
    assert "The status changed 14 times in 10 min." in alice.get("/instances/12345/").content.decode()


def test_five_changes_are_no_flapping(alice, instance):
    for substatus in ("phone", "normal", "phone", "normal", "phone"):
        change_status(instance, substatus=substatus)
    assert "The status changed" not in alice.get("/instances/12345/").content.decode()


def test_a_viewer_sees_neither_token_nor_secret_and_changes_nothing(instance):
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get("/instances/12345/").content.decode()
    assert instance.token not in page
    assert instance.endpoint.secret not in page
    for path in ("press/logout", "settings", "address", "address/check", "address/test"):
        assert vera.post(f"/instances/12345/{path}/", {"url": ""}).status_code == 403


def test_the_overview_asks_at_most_so_many_queries(alice, instance, django_assert_max_num_queries):
    alice.get("/instances/12345/")
    with django_assert_max_num_queries(17):
        alice.get("/instances/12345/")


def test_a_poll_of_the_status_asks_at_most_so_many_queries(alice, django_assert_max_num_queries):
    seen = alice.get("/instances/12345/").context["seen"]
    with django_assert_max_num_queries(4):
        alice.get("/instances/12345/status/", {"seen": seen}, headers=HTMX)
