"""Staff looks at an account: what its owner sees, read-only, without secrets, for half an hour, and in the trail."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.models import Account, AuditEntry, User
from chatapi.staff.impersonation import recorded_path
from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.stopping import block_account
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from tests.factories import InstanceFactory, UserFactory

SENTENCE = "You are viewing another user"


@pytest.fixture
def viewing(instance: Instance, staff: Client) -> Client:
    """Charlie, who looks at alice's account."""
    begin(staff, instance.owner)
    return staff


def begin(client: Client, account: Account, reason: str = "ticket 7") -> None:
    page = f"/admin/accounts/account/do/look/?pk={account.pk}"
    answer = client.post(page, {"reason": reason})
    assert (answer.status_code, answer["Location"]) == (302, "/instances/")


def actions() -> list[tuple[str, str, dict[str, str]]]:
    entries = AuditEntry.objects.filter(action__startswith="look.").order_by("pk")
    return [
        (
            entry.actor_text,
            entry.action,
            {key: value for key, value in entry.detail.items() if key != "until"},
        )
        for entry in entries
    ]


def test_staff_sees_the_pages_as_the_owner_does_under_a_banner(viewing: Client, instance: Instance) -> None:
    receive_message(instance, sender="15551234567", body="hello")
    for address in ("/instances/", "/instances/12345/", "/log/", "/account/", "/testing/simulation/"):
        answer = viewing.get(address)
        page = answer.content.decode()
        assert answer.status_code == 200, address
        assert "You are viewing alice@example.org" in page, address
        assert "charlie@example.org" in page and "read-only" in page
    assert "Shop" in viewing.get("/instances/").content.decode()


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("/shared/a-token_of-43/?of=7", "/shared/…/?of=7"),
        ("/shared/hooks/a-token_of-43/?of=7", "/shared/hooks/…/?of=7"),
        ("/shared/a-token_of-43/capture/2/", "/shared/…/capture/2/"),
        ("/invite/Kq3vX9mBt0aZ", "/invite/…"),
        ("/media/0123abcd/photo.jpg", "/media/…/photo.jpg"),
        ("/instances/12345/?token=abc", "/instances/12345/?token=…"),
    ],
)
def test_a_recorded_path_opens_nothing(path: str, recorded: str) -> None:
    assert recorded_path(path) == recorded


def test_nothing_can_be_changed(viewing: Client, instance: Instance) -> None:
    before = Instance.objects.values().get()
    for address in (
        "/instances/12345/rename/",
        "/instances/12345/token/rotate/",
        "/instances/12345/delete/",
        "/instances/new/",
        "/account/keys/",
        "/testing/simulation/send/",
        "/testing/sending/send/",
    ):
        answer = viewing.post(address, {"name": "x", "phone": "15551234567", "body": "hi"})
        assert answer.status_code == 403, address
        assert SENTENCE in answer.content.decode()
    for method in ("put", "patch", "delete"):
        assert getattr(viewing, method)("/instances/12345/").status_code == 403
    assert Instance.objects.values().get() == before
    assert not Hook.objects.exists()


def test_no_page_shows_a_token_or_a_secret(viewing: Client, instance: Instance) -> None:
    _, key = issue_key(instance.owner, acting_user=None)
    for address in (
        "/instances/",
        "/instances/12345/",
        "/account/",
        "/api/docs/",
        "/log/",
        "/testing/sending/",
    ):
        page = viewing.get(address).content.decode()
        for secret in (instance.token, instance.endpoint.secret, key):
            assert secret not in page, address


def test_a_secret_that_stands_in_a_body_is_blotted_out_too(viewing: Client, instance: Instance) -> None:
    instance.name = f"{instance.token} {instance.endpoint.secret}"
    instance.save(update_fields=["name"])
    page = viewing.get("/instances/12345/").content.decode()
    assert "••••" in page
    assert instance.token not in page and instance.endpoint.secret not in page


def test_what_is_the_persons_alone_stays_closed(viewing: Client) -> None:
    for address in (
        "/accounts/2fa/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/sessions/",
        "/account/export/",
    ):
        answer = viewing.get(address)
        assert (
            answer.status_code,
            "This page is personal" in answer.content.decode().replace("&#x27;", "'"),
        ) == (403, True)


def test_no_file_is_handed_out(viewing: Client, instance: Instance) -> None:
    bin = bin_actions.open_bin(instance)
    capture_actions.capture(bin.key, method="POST", body=b"a private text")
    capture = bin.captures.get()
    answer = viewing.get(f"/testing/bins/{bin.key}/{capture.public_id}/body/")
    assert (answer.status_code, "Files and exports" in answer.content.decode()) == (403, True)
    assert "Content-Disposition" not in answer.headers


def test_every_look_and_every_page_is_in_the_trail(viewing: Client, instance: Instance) -> None:
    viewing.get("/instances/12345/")
    viewing.get("/log/", headers={"hx-request": "true"})
    viewing.get("/log/?state=failed")
    viewing.get("/instances/99999/")
    viewing.post("/instances/12345/rename/", {"name": "x"})
    answer = viewing.post("/admin/stop-viewing/")
    assert answer["Location"] == f"/admin/customers/{instance.owner_id}/"
    assert actions() == [
        ("charlie@example.org", "look.started", {"reason": "ticket 7"}),
        ("charlie@example.org", "look.page", {"path": "/instances/12345/"}),
        ("charlie@example.org", "look.page", {"path": "/log/?state=failed"}),
        ("charlie@example.org", "look.ended", {}),
    ]
    assert viewing.get("/instances/12345/").status_code == 404


def test_it_takes_a_reason(instance: Instance, staff: Client) -> None:
    page = f"/admin/accounts/account/do/look/?pk={instance.owner_id}"
    assert "half an hour" in staff.get(page).content.decode()
    assert staff.post(page, {"reason": " "}).status_code == 200
    assert actions() == []
    assert staff.get("/instances/12345/").status_code == 404


def test_from_an_instance_it_leads_to_that_instance(instance: Instance, staff: Client) -> None:
    answer = staff.post(f"/admin/instances/instance/do/look/?pk={instance.pk}", {"reason": "ticket 7"})
    assert answer["Location"] == "/instances/12345/"
    assert staff.get(answer["Location"]).status_code == 200


def test_the_staff_desk_stays_the_staffs_own(viewing: Client) -> None:
    page = viewing.get("/admin/")
    assert page.status_code == 200
    assert "You are viewing" in page.content.decode()


def test_after_half_an_hour_it_is_over(instance: Instance, charlie: User) -> None:
    client = Client()
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        client.force_login(charlie)
        begin(client, instance.owner)
        clock.move_to(start + timedelta(minutes=29))
        assert client.get("/instances/12345/").status_code == 200
        clock.move_to(start + timedelta(minutes=30))
        answer = client.get("/instances/12345/")
        assert answer["Location"] == f"/admin/customers/{instance.owner_id}/"
        assert client.get("/instances/12345/").status_code == 404
    assert [action for _, action, _ in actions()] == ["look.started", "look.page", "look.ended"]


def test_who_loses_the_right_looks_no_longer(instance: Instance, of_group) -> None:
    support = of_group("support")
    begin(support, instance.owner)
    assert support.get("/instances/12345/").status_code == 200
    support.person.groups.clear()
    assert support.get("/instances/12345/").status_code == 404


def test_it_shows_one_account_and_no_other(viewing: Client) -> None:
    bobs = InstanceFactory(number=777, owner=UserFactory(email="bob@example.org").account)
    assert bobs.pk and viewing.get("/instances/777/").status_code == 404


def test_a_blocked_account_can_be_looked_at(instance: Instance, staff: Client, charlie: User) -> None:
    block_account(instance.owner, reason="fraud", acting_user=charlie)
    begin(staff, instance.owner)
    assert staff.get("/instances/12345/").status_code == 200


def test_looking_reads_nothing_as_read(viewing: Client, instance: Instance) -> None:
    """What a page notes about its owner's reading is not noted for staff."""
    bin = bin_actions.open_bin(instance)
    capture_actions.capture(bin.key, method="POST", body=b"{}")
    capture = bin.captures.get()
    viewing.get(f"/testing/bins/{bin.key}/{capture.public_id}/")
    capture.refresh_from_db()
    assert capture.read_at is None


@pytest.mark.parametrize("address", ["/healthz", "/metrics"])
def test_machines_pages_are_as_ever(viewing: Client, address: str) -> None:
    assert viewing.get(address).status_code == 200


def test_looking_at_a_bin_of_ones_own_reads_nothing_either(viewing: Client, instance: Instance) -> None:
    bin = bin_actions.open_own_bin(instance.owner)
    capture_actions.capture(bin.key, method="POST", body=b"{}")
    assert viewing.get(f"/testing/bins/{bin.key}/{bin.captures.get().public_id}/").status_code == 200
    assert bin.captures.get().read_at is None


def test_a_token_in_an_address_is_not_kept_in_the_trail(viewing: Client) -> None:
    viewing.get("/instances/?token=sooo-secret")
    assert actions()[-1] == ("charlie@example.org", "look.page", {"path": "/instances/?token=…"})
