"""Every URL of the REST API, and what each kind of client gets there. A new URL must be added to the table."""

import re
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from accounts.actions.keys import issue_key, rotate_key
from accounts.models import Member
from chatapi.rest_urls import urlpatterns
from hooks.actions import listening, redelivery
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import configure
from hooks.actions.hooks import resend
from hooks.log.selection import Filter
from hooks.models import Endpoint, Hook, Redelivery, State
from instances.actions import alerts
from instances.actions.hook_shares import share_hook
from instances.actions.messages import receive_message, type_on_phone
from instances.actions.sending.accept import send_message
from instances.channels.sandbox.actions.groups import create_group_as_contact
from instances.models import Instance
from testing_tools.simulation.actions import create_run
from testing_tools.simulation.models import Plan, SimulationRun
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.models import Bin, Capture, Share
from tests.factories import create_issue, fail_message, member_of
from tests.hooks.attempted import attempt_hook
from tests.instances.api.conftest import ApiClient, create_account

HELLO = {"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"}

# address, method, body, what its owner gets
TABLE: list[tuple[str, str, dict[str, Any] | None, int]] = [
    ("account/", "GET", None, 200),
    ("keys/", "GET", None, 200),
    ("keys/", "POST", {"name": "CI", "scopes": ["manage"]}, 201),
    ("keys/{spare}/", "GET", None, 200),
    ("keys/{spare}/rotate/", "POST", {"overlapHours": 1}, 201),
    ("keys/{spare}/revoke/", "POST", None, 200),
    ("members/", "GET", None, 200),
    ("members/{member}/", "PATCH", {"role": "viewer"}, 200),
    ("members/{member}/", "DELETE", None, 204),
    ("alert-webhook/", "GET", None, 200),
    ("alert-webhook/", "PUT", {"url": "http://127.0.0.1:9/alerts"}, 200),
    ("alert-webhook/", "DELETE", None, 204),
    ("alert-webhook/rotate-secret/", "POST", None, 200),
    ("alert-webhook/test/", "POST", None, 200),
    ("alert-webhook/alerts/", "GET", None, 200),
    ("channels/", "GET", None, 200),
    ("instances/", "GET", None, 200),
    ("instances/", "POST", {"name": "Shop"}, 201),
    ("instances/{instance}/", "GET", None, 200),
    ("instances/{instance}/", "PATCH", {"name": "Shop"}, 200),
    ("instances/{instance}/", "DELETE", None, 204),
    ("instances/{instance}/link/", "GET", None, 200),
    ("instances/{instance}/link/", "PUT", {"values": {}}, 409),
    ("instances/{instance}/link/", "DELETE", None, 409),
    ("instances/{instance}/link/pairing-code/", "POST", {"phone": "15550001111"}, 409),
    ("instances/{instance}/sandbox/messages/", "POST", HELLO, 201),
    ("instances/{instance}/sandbox/receipts/", "POST", {"messageId": "{message}", "status": "viewed"}, 200),
    ("instances/{instance}/sandbox/phone/", "PATCH", {"substatus": "battery_low"}, 200),
    ("instances/{instance}/sandbox/phone/", "GET", None, 200),
    ("instances/{instance}/sandbox/phone/", "POST", {"event": "disconnect"}, 200),
    ("instances/{instance}/sandbox/phone/messages/", "POST", {"chatId": "17680561234", "body": "hi"}, 201),
    ("instances/{instance}/sandbox/calls/", "POST", {"from": "17680561234"}, 201),
    ("instances/{instance}/sandbox/contacts/", "GET", None, 200),
    ("instances/{instance}/sandbox/contacts/{phone}/", "GET", None, 200),
    ("instances/{instance}/sandbox/contacts/{phone}/", "PUT", {"name": "Ann"}, 200),
    ("instances/{instance}/sandbox/contacts/{phone}/", "PATCH", {"name": "Ann"}, 200),
    ("instances/{instance}/sandbox/groups/", "GET", None, 200),
    ("instances/{instance}/sandbox/groups/", "POST", {"name": "Holidays", "by": "17680561234"}, 201),
    ("instances/{instance}/sandbox/groups/{group}/", "GET", None, 200),
    ("instances/{instance}/sandbox/groups/{group}/", "PATCH", {"name": "Summer"}, 200),
    ("instances/{instance}/sandbox/chats/{chat}/", "GET", None, 200),
    ("instances/{instance}/sandbox/chats/{chat}/messages/", "GET", None, 200),
    ("instances/{instance}/sandbox/reset/", "POST", None, 200),
    ("hooks/", "GET", None, 200),
    ("hooks/{hook}/", "GET", None, 200),
    ("hooks/{hook}/resend/", "POST", None, 200),
    ("hooks/{waiting}/try-now/", "POST", None, 200),
    ("hooks/{waiting}/skip/", "POST", None, 200),
    ("hooks/{waiting}/cancel/", "POST", None, 200),
    ("hooks/{hook}/shares/", "GET", None, 200),
    ("hooks/{hook}/shares/", "POST", {"validFor": "24h"}, 201),
    ("hooks/{hook}/shares/{hook_share}/", "DELETE", None, 204),
    ("instances/{instance}/webhook-secret/rotate/", "POST", {"keepOld": True}, 200),
    ("instances/{instance}/delivery/", "GET", None, 200),
    ("instances/{instance}/delivery/pause/", "POST", None, 200),
    ("instances/{instance}/delivery/resume/", "POST", None, 200),
    ("instances/{instance}/queue/", "GET", None, 200),
    ("instances/{instance}/queue/messages/", "GET", None, 200),
    ("instances/{instance}/queue/failed/", "GET", None, 200),
    ("instances/{instance}/queue/clear/", "POST", None, 200),
    ("instances/{instance}/messages/{failed}/", "GET", None, 200),
    ("instances/{instance}/messages/{failed}/tries/", "GET", None, 200),
    ("instances/{instance}/messages/{received}/turn/", "GET", None, 200),
    ("instances/{instance}/received/", "GET", None, 200),
    ("instances/{instance}/messages/{queued}/cancel/", "POST", None, 200),
    ("instances/{instance}/messages/{failed}/resend/", "POST", None, 200),
    ("instances/{instance}/endpoints/", "GET", None, 200),
    ("instances/{instance}/endpoints/", "POST", {"url": "https://example.com/more"}, 201),
    ("instances/{instance}/endpoints/{endpoint}/", "GET", None, 200),
    ("instances/{instance}/endpoints/{endpoint}/", "PATCH", {"name": "Billing"}, 200),
    ("instances/{instance}/endpoints/{endpoint}/", "DELETE", None, 204),
    ("instances/{instance}/endpoints/{endpoint}/pause/", "POST", None, 200),
    ("instances/{instance}/endpoints/{endpoint}/resume/", "POST", None, 200),
    ("instances/{instance}/endpoints/{endpoint}/rotate-secret/", "POST", {"keepOld": False}, 200),
    ("instances/{instance}/endpoints/{endpoint}/test/", "POST", None, 200),
    ("instances/{instance}/endpoints/{endpoint}/health/", "GET", None, 200),
    ("instances/{instance}/endpoints/{endpoint}/statistics/", "GET", None, 200),
    ("statistics/", "GET", None, 200),
    ("instances/{instance}/statistics/", "GET", None, 200),
    ("instances/{instance}/listeners/", "POST", {"url": "http://localhost:3000/hook"}, 201),
    ("instances/{instance}/listeners/{listener}/", "DELETE", None, 204),
    ("instances/{instance}/listeners/{listener}/take/", "POST", None, 200),
    ("instances/{instance}/listeners/{listener}/results/", "POST", {"results": []}, 200),
    ("issues/", "GET", None, 200),
    ("issues/{issue}/", "GET", None, 200),
    ("issues/{issue}/acknowledge/", "POST", None, 200),
    ("issues/{issue}/resend/", "POST", None, 201),
    ("redeliveries/", "GET", None, 200),
    ("redeliveries/", "POST", {"state": ["skipped"]}, 201),
    ("redeliveries/{job}/", "GET", None, 200),
    ("redeliveries/{job}/pause/", "POST", None, 200),
    ("redeliveries/{paused}/resume/", "POST", None, 200),
    ("redeliveries/{job}/cancel/", "POST", None, 200),
    ("bins/", "GET", None, 200),
    ("bins/", "POST", {}, 201),
    ("bins/{bin}/", "GET", None, 200),
    ("bins/{bin}/", "PATCH", {"preset": "fail"}, 200),
    ("bins/{bin}/", "DELETE", None, 204),
    ("bins/{bin}/captures/", "GET", None, 200),
    ("bins/{bin}/captures/next/", "GET", None, 200),
    ("bins/{bin}/captures/clear/", "POST", {"q": "is:unread"}, 200),
    ("bins/{bin}/captures/forward/", "POST", {"url": "http://127.0.0.1:9/hook"}, 200),
    ("bins/{bin}/captures/restore/", "POST", {"deletedAt": "{deleted}"}, 200),
    ("bins/{bin}/captures/{capture}/", "GET", None, 200),
    ("bins/{bin}/captures/{capture}/", "PATCH", {"note": "mine"}, 200),
    ("bins/{bin}/captures/{capture}/", "DELETE", None, 200),
    ("bins/{bin}/captures/{capture}/replay/", "POST", {"url": "http://127.0.0.1:9/hook"}, 200),
    ("bins/{bin}/shares/", "GET", None, 200),
    ("bins/{bin}/shares/", "POST", {"validFor": "24h"}, 201),
    ("bins/{bin}/shares/{share}/", "DELETE", None, 204),
    ("instances/{instance}/verification/", "GET", None, 200),
    ("instances/{instance}/verification/start/", "POST", {"forwards": True}, 200),
    ("instances/{instance}/verification/stop/", "POST", None, 200),
    ("simulations/kinds/", "GET", None, 200),
    ("instances/{instance}/simulation-runs/", "POST", {"kind": "message", "plan": "repeat"}, 201),
    ("instances/{instance}/simulation-runs/{run}/", "GET", None, 200),
    ("instances/{instance}/simulation-runs/{run}/step/", "POST", None, 200),
    ("instances/{instance}/simulation-runs/{run}/cancel/", "POST", None, 200),
    ("instances/{instance}/simulations/", "POST", {"kind": "message", "url": "http://127.0.0.1:9/hook"}, 201),
]
OF_ONE = [row for row in TABLE if "{" in row[0]]


@dataclass
class Shared:
    """Accounts of alice and bob; the values for the table's braces: alice's instance, its message, hooks and jobs."""

    alice: ApiClient
    bob: ApiClient
    filled: dict[str, str]


@pytest.fixture(scope="module")
def shared(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Shared]:
    """The rows of all tests of this file, created once; what a test changes is rolled back after it."""
    with django_db_blocker.unblock(), transaction.atomic():
        alice, bob = create_account("alice"), create_account("bob")
        yield Shared(alice, bob, fill_account(alice))
        transaction.set_rollback(True)


@pytest.fixture
def alice(shared: Shared, db: None) -> ApiClient:
    return deepcopy(shared.alice)


@pytest.fixture
def bob(shared: Shared, db: None) -> ApiClient:
    return deepcopy(shared.bob)


@pytest.fixture
def filled(shared: Shared) -> dict[str, str]:
    return shared.filled


def fill_account(alice: ApiClient) -> dict[str, str]:
    message = type_on_phone(alice.instance, chat_id="17680561234", body="hi")
    received = receive_message(alice.instance, sender="17680561234", body="hello")
    group = create_group_as_contact(alice.instance, name="Holidays", by="17680561234@c.us")
    configure(alice.instance.endpoint, url="https://example.com/hook")
    hook, other, *_ = skipped = list(Hook.objects.filter(endpoint=alice.instance.pk).order_by("id"))
    assert {one.state for one in skipped} == {State.SKIPPED}
    mine = Instance.objects.filter(pk=alice.instance.pk)
    kinds = (["message"], ["message", "ack"])
    wanted: list[Filter] = [{"states": ["skipped"], "kinds": one} for one in kinds]
    job, paused = (redelivery.plan(mine, wanted=one, acting_user=None) for one in wanted)
    redelivery.pause(paused, acting_user=None)
    alerts.set_url(alice.account, url="http://127.0.0.1:9/alerts", acting_user=None)
    bin = open_bin(alice.instance)
    for _ in range(2):
        capture_actions.capture(bin.key, method="POST", body=b"{}")
    first, second = Capture.objects.filter(bin=bin).order_by("number")
    deleted, _ = capture_actions.delete(bin, captures=bin.captures.filter(pk=second.pk), acting_user=None)
    share, _ = shares.share(bin, valid_for=timedelta(hours=1), acting_user=None)
    hook_share, _ = share_hook(hook, instance=alice.instance, valid_for=timedelta(hours=1), acting_user=None)
    listener = listening.start(alice.instance.pk, url="http://localhost:3000/hook", acting_user=None)
    run = create_run(
        alice.instance,
        kind="message",
        plan=Plan.DUPLICATES,
        body=b"{}",
        to_url="http://127.0.0.1:9/hook",
        count=2,
        pause=0,
        acting_user=None,
    )
    failed = attempt_hook(alice.instance.endpoint)
    issue = create_issue(alice.instance.endpoint, first_hook=failed.pk, events_since=failed.created_at)
    dora = member_of(alice.account, "viewer", "dora@example.org")
    return {
        "issue": f"issue_{issue.public_id.hex}",
        "spare": issue_key(alice.account, acting_user=None)[0].prefix,
        "member": str(Member.objects.get(user=dora).pk),
        "run": f"run_{run.public_id.hex}",
        "bin": bin.key,
        "capture": first.public_id,
        "deleted": deleted.isoformat(),
        "share": str(share.pk),
        "hook_share": str(hook_share.pk),
        "instance": str(alice.instance.number),
        "message": message.message_id,
        "received": received.message_id,
        "queued": send_message(alice.instance, chat_id="17680561234", body="queued").message_id,
        "failed": fail_message(send_message(alice.instance, chat_id="17680561234", body="failed")).message_id,
        "phone": "17680561234",
        "chat": "17680561234@c.us",
        "group": group.chat_id,
        "endpoint": str(add_endpoint(alice.instance.pk, url="http://127.0.0.1:9/hook", acting_user=None).pk),
        "listener": f"{listener.endpoint.pk}-{listener.key.hex}",
        "hook": hook.webhook_id,
        "waiting": resend(other, acting_user=None).webhook_id,
        "job": f"redelivery_{job.public_id.hex}",
        "paused": f"redelivery_{paused.public_id.hex}",
    }


def fill(row: tuple, filled: dict[str, str]) -> tuple[str, str, dict | None]:
    path, method, body, _ = row
    texts = {name: value.format(**filled) for name, value in (body or {}).items() if isinstance(value, str)}
    data = {**body, **texts} if body else None
    return method, path.format(**filled), data


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[1]} {row[0]}")
def test_the_owner_is_served(alice: ApiClient, filled: dict[str, str], row: tuple) -> None:
    assert alice.call(*fill(row, filled))[0] == row[3]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[1]} {row[0]}")
def test_without_a_key_nobody_is_served(alice: ApiClient, filled: dict[str, str], row: tuple) -> None:
    method, path, _ = fill(row, filled)
    before = rows()
    answer = Client().generic(method, f"/api/v1/{path}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Chat API"'
    assert answer.json() == {
        "error": "Missing account key. Send your account's key as “Authorization: Bearer uid_…”."
    }
    assert rows() == before


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[1]} {row[0]}")
def test_the_sign_in_cookie_of_a_browser_opens_nothing(
    alice: ApiClient, filled: dict[str, str], row: tuple
) -> None:
    client = Client()
    client.force_login(alice.account.owner)
    method, path, _ = fill(row, filled)
    assert client.generic(method, f"/api/v1/{path}").status_code == 401


@pytest.mark.parametrize("row", OF_ONE, ids=lambda row: f"{row[1]} {row[0]}")
def test_a_stranger_learns_nothing_and_changes_nothing(
    bob: ApiClient, filled: dict[str, str], row: tuple
) -> None:
    before = rows()
    status, answer = bob.call(*fill(row, filled))
    name = re.findall(r"{(\w+)}", row[0])[0]
    things = {
        "bins": "bin",
        "hooks": "hook",
        "instances": "instance",
        "issues": "issue",
        "keys": "key",
        "members": "member",
        "redeliveries": "redelivery",
    }
    thing = things[row[0].split("/")[0]]
    assert (status, answer) == (404, {"error": f"Your account has no {thing} {filled[name]}."})
    assert rows() == before


@pytest.mark.parametrize("row", OF_ONE, ids=lambda row: f"{row[1]} {row[0]}")
@pytest.mark.parametrize("instance", ["0", "99999999999999999999", "abc", "١٢٣", "-1", "1.5"])
def test_what_does_not_exist_is_answered_like_a_strangers(
    alice: ApiClient, row: tuple, instance: str
) -> None:
    names = {name: f"hook_{uuid.uuid4().hex}" for name in ("hook", "waiting")}
    names |= {name: f"redelivery_{uuid.uuid4().hex}" for name in ("job", "paused")}
    names |= {
        "issue": f"issue_{uuid.uuid4().hex}",
        "run": f"run_{uuid.uuid4().hex}",
        "bin": instance,
        "spare": instance,
        "member": instance,
        "capture": "x",
        "deleted": "2030-01-01T09:00:00Z",
        "share": "1",
        "hook_share": "1",
        "endpoint": "1099511627776",
        "listener": f"1099511627776-{uuid.uuid4().hex}",
        "queued": "x",
        "received": "x",
        "failed": "x",
        "phone": "17680561234",
        "chat": "17680561234@c.us",
        "group": "1-2@g.us",
    }
    method, path, data = fill(row, {"instance": instance, "message": "x", **names})
    assert alice.call(method, path, data)[0] == 404


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[1]} {row[0]}")
def test_a_missing_slash_at_the_end_is_forgiven(alice: ApiClient, filled: dict[str, str], row: tuple) -> None:
    method, path, data = fill(row, filled)
    assert alice.call(method, path.rstrip("/"), data)[0] == row[3]


def test_the_table_holds_every_address_and_method() -> None:
    found = {
        (re.sub(r"<(?:str|path):\w+>", "{}", str(pattern.pattern)), method.upper())
        for pattern in urlpatterns
        if pattern.name
        for method in methods(pattern.callback)
    }
    listed = {(re.sub(r"{\w+}", "{}", path), method) for path, method, _, _ in TABLE}
    assert listed == found


def methods(view: object) -> set[str]:
    names = getattr(view, "actions", None) or vars(view.cls)  # type: ignore[attr-defined]
    return {name for name in names if name in ("get", "post", "put", "patch", "delete")}


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer uid_nobodys",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer x{key}",
        "Bearer ü",
    ],
)
def test_a_wrong_key_is_refused_in_words_and_never_echoed(alice: ApiClient, header: str) -> None:
    answer = Client().get("/api/v1/instances/", headers={"Authorization": header.format(key=alice.key)})
    assert answer.status_code == 401
    assert answer.json()["error"].startswith("Wrong account key. ")
    assert alice.key not in answer.text


def test_the_scheme_is_read_in_any_case(alice: ApiClient) -> None:
    assert alice.call("GET", "instances/", Authorization=f"bearer {alice.key}")[0] == 200


def test_a_revoked_key_opens_nothing_and_the_new_one_does(alice: ApiClient) -> None:
    old = alice.key
    key = alice.account.keys.earliest("pk")
    alice.key = rotate_key(key, overlap=timedelta(0), acting_user=alice.account.owner)[1]
    assert alice.get("instances/")[0] == 200
    alice.key = old
    assert alice.get("instances/")[0] == 401


def test_an_unknown_address_is_answered_in_json(alice: ApiClient) -> None:
    assert alice.get("instance/") == (
        404,
        {"error": "/api/v1/instance/ does not exist. All operations are listed at /api/docs/."},
    )


def test_a_fault_of_ours_is_answered_in_json_and_logged(
    alice: ApiClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(instance: Instance) -> dict:
        raise ZeroDivisionError

    monkeypatch.setattr("instances.api.serializers.instances.read_settings", broken)
    status, answer = alice.get(alice.home)
    assert status == 500
    assert answer == {
        "error": "The server failed and logged the error; your request may be valid. Try again in a moment."
    }
    assert "ZeroDivisionError" in caplog.text


def rows() -> tuple:
    """Everything that a rejected call could have changed."""
    return tuple(
        list(rows.order_by("pk").values_list(*names))
        for rows, names in (
            (Instance.objects.all(), ()),
            (Endpoint.objects.all(), ()),
            (Hook.objects.all(), ("pk", "state")),
            (Redelivery.objects.all(), ("pk", "state")),
            (Bin.objects.all(), ()),
            (SimulationRun.objects.all(), ("pk", "state")),
            (Capture.objects.all(), ("pk", "note", "deleted_at")),
            (Share.objects.all(), ("pk", "revoked_at")),
        )
    )
