"""The time zone of a user: chosen on the account page, used on their pages and in every mail to them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import impersonation, lockouts, notices, time_zones
from accounts.actions.members import invite
from accounts.actions.users import set_time_zone
from accounts.audit import AuditAction
from accounts.models import AuditEntry, User
from accounts.tasks import send_guessing_mail
from hooks.models import Endpoint, PauseReason
from instances import tasks
from instances.actions.messages import receive_message
from instances.models import Instance, ReceiverState
from tests.factories import AccountFactory, InstanceFactory, UserFactory

pytestmark = pytest.mark.django_db
AT = datetime(2026, 7, 1, 20, 30, tzinfo=UTC)  # in Tokyo it is 5:30 of the next day
TOKYO, TOKYO_WORDS = "Asia/Tokyo", "2 July 2026, 05:30 JST"


@pytest.fixture
def shop(client: Client) -> Instance:
    """alice's instance; alice is signed in."""
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    return InstanceFactory(owner=alice, name="Shop", url="https://shop.example.com/hook")


def choose(client: Client, name: str) -> str:
    """The page after the choice."""
    return client.post(reverse("accounts:time-zone"), {"time_zone": name}, follow=True).text


def selected(client: Client) -> list[str]:
    page = client.get(reverse("accounts:account")).text
    return re.findall(r'<option value="([^"]*)" selected>', page)


def test_the_choice_is_saved_and_shown(client: Client, shop: Instance) -> None:
    assert selected(client) == [""]
    assert "Saved." in choose(client, TOKYO)
    assert selected(client) == [TOKYO]
    assert User.objects.get(email="alice@example.org").time_zone == TOKYO
    choose(client, "")
    assert selected(client) == [""]


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../../etc/passwd", "EST5EDT", "\0", "UTC+2"])
def test_a_zone_that_is_not_on_the_list_is_refused(client: Client, shop: Instance, name: str) -> None:
    choose(client, TOKYO)
    assert "There is no time zone" in choose(client, name)
    assert selected(client) == [TOKYO]
    with pytest.raises(ValueError, match="There is no time zone"):
        set_time_zone(shop.owner.owner, time_zone=name)


def test_every_zone_on_the_list_exists() -> None:
    names = [name for _, places in time_zones.choices() for name, _ in places]
    assert {"UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "Asia/Kolkata"} <= set(names)
    for name in names:
        assert time_zones.zone_of(User(time_zone=name)).utcoffset(AT.replace(tzinfo=None)) is not None


def test_a_zone_that_the_system_no_longer_knows_is_utc(client: Client, shop: Instance) -> None:
    User.objects.filter(email="alice@example.org").update(time_zone="Europe/Removed")
    assert client.get(reverse("accounts:account")).status_code == 200
    assert time_zones.zone_of(User(time_zone="Europe/Removed")) is UTC


def test_pages_show_times_and_days_in_the_chosen_zone(client: Client, shop: Instance) -> None:
    with time_machine.travel(AT, tick=False):
        receive_message(shop, sender="15550100101", body="hello")
        chat = reverse("instances:chat", args=[shop.number, "15550100101@c.us"])
        assert "1 July 2026" in client.get(chat).text
        choose(client, TOKYO)
        page = client.get(chat).text
        log = client.get(reverse("log:list")).text
    assert "2 July 2026" in page
    assert ">05:30</time>" in re.sub(r"\s+(?=</time>)|(?<=>)\s+", "", page)
    assert '<html lang="en" data-time-zone="Asia/Tokyo">' in log
    assert "2 July 2026, 05:30:00 JST" in log


def test_the_zone_ends_with_the_request(client: Client, shop: Instance) -> None:
    choose(client, TOKYO)
    client.get(reverse("log:list"))

    assert timezone.get_current_timezone_name() == "UTC"
    assert "data-time-zone" not in Client().get("/accounts/login/").text


def test_each_member_has_a_zone_of_their_own(client: Client, shop: Instance) -> None:
    choose(client, TOKYO)
    other = Client()
    other.force_login(UserFactory(email="bob@example.org"))

    assert "data-time-zone" not in other.get(reverse("accounts:account")).text


def test_staff_who_view_an_account_see_their_own_zone(client: Client, shop: Instance) -> None:
    choose(client, TOKYO)
    staff = UserFactory(email="sam@example.org", is_staff=True, is_superuser=True)
    set_time_zone(staff, time_zone="Europe/Madrid")
    client.force_login(staff)
    session = client.session
    session[impersonation.SESSION_KEY] = {
        "account": shop.owner.pk,
        "until": (timezone.now() + impersonation.DURATION).isoformat(),
    }
    session.save()

    page = client.get("/instances/").text
    assert "Shop" in page
    assert 'data-time-zone="Europe/Madrid"' in page


# -- mails


def send_notice(shop: Instance) -> None:
    invite(shop.owner, email="vera@example.org", role="viewer", acting_user=shop.owner.owner)
    AuditEntry.objects.filter(action=AuditAction.MEMBER_INVITED).update(at=AT)
    entry = AuditEntry.objects.get(action=AuditAction.MEMBER_INVITED)
    notices.send_notice(entry.pk, ["alice@example.org"], "this server")


def send_pause(shop: Instance) -> None:
    Endpoint.objects.filter(pk=shop.pk).update(
        paused_at=AT, pause_reason=PauseReason.FAILING, failing_since=AT
    )
    endpoint = Endpoint.objects.select_related("instance__owner__owner").get(pk=shop.pk)
    tasks.send_pause_mail(endpoint)


def send_lost_link(shop: Instance) -> None:
    state = ReceiverState(instance=shop, lost_at=AT, lost_reason="The token was revoked.")
    tasks.send_lost_link_mail(state)


def send_guessing(shop: Instance) -> None:
    with time_machine.travel(AT, tick=False):
        send_guessing_mail(shop.owner.owner_id, lockouts.PASSWORD.kind, 10, "192.0.2.1")


@pytest.mark.parametrize("send", [send_notice, send_pause, send_lost_link, send_guessing])
@pytest.mark.parametrize(("zone", "words"), [("", "1 July 2026, 20:30 UTC"), (TOKYO, TOKYO_WORDS)])
def test_mails_have_the_owners_zone(shop: Instance, send: object, zone: str, words: str) -> None:
    set_time_zone(shop.owner.owner, time_zone=zone)
    shop.refresh_from_db()

    send(shop)  # type: ignore[operator]

    assert words in mail.outbox[-1].body.replace("Jul ", "July ")
