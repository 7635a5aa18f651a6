"""Bins over REST: open, list, read, configure the response, delete, share."""

from typing import Any

import pytest
from django.test import Client

from accounts.actions import share_links
from accounts.audit import AuditAction, AuditEntry
from instances.actions.lifecycle import create_instance
from testing_tools.api import bin_views
from testing_tools.api.lookup import validate
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.actions.verifications import start_verification, stop_verification
from testing_tools.verification.models import Bin, Capture
from tests.instances.api.conftest import ApiClient
from tests.testing_tools.api.conftest import capture

pytestmark = pytest.mark.django_db


def test_an_instance_has_one_bin_and_the_account_another(alice: ApiClient) -> None:
    of_instance = {"instance": str(alice.instance.number)}
    created, again, own = (alice.post("bins/", data) for data in (of_instance, of_instance, {}))
    assert [status for status, _ in (created, again, own)] == [201, 200, 201]
    bin = Bin.objects.get(instance=alice.instance)
    assert created[1] == {
        "key": bin.key,
        "url": bin.url,
        "instanceId": str(alice.instance.number),
        "createdAt": created[1]["createdAt"],
        "lastNumber": 0,
        "answer": {
            "status": 200,
            "headers": [["Content-Type", "application/json"]],
            "body": '{"ok": true}',
            "delay": 0.0,
            "failFirst": 0,
            "failsLeft": 0,
            "cors": False,
        },
        "captures": 0,
        "dropped": 0,
    }
    assert again[1] == created[1]
    assert own[1]["instanceId"] is None
    listed = alice.get("bins/")[1]["results"]
    assert [found["key"] for found in listed] == [created[1]["key"], own[1]["key"]]


def test_a_list_of_bins_has_pages_and_the_accounts_bins_only(alice: ApiClient, bob: ApiClient) -> None:
    for _ in range(2):
        open_bin(create_instance(alice.account))
    open_bin(bob.instance)
    status, page = alice.get("bins/?limit=1")
    assert (status, len(page["results"])) == (200, 1)
    rest = Client().get(page["next"], headers={"Authorization": f"Bearer {alice.key}"}).json()
    assert len(rest["results"]) == 1
    assert rest["next"] is None


def test_a_bin_of_an_instance_of_another_account_is_not_opened(alice: ApiClient, bob: ApiClient) -> None:
    number = str(bob.instance.number)
    assert alice.post("bins/", {"instance": number}) == (
        404,
        {"error": f"Your account has no instance {number}."},
    )
    assert not Bin.objects.exists()


def test_the_response_is_configured_field_by_field_and_sent(alice: ApiClient, bin: Bin) -> None:
    path = f"bins/{bin.key}/"
    headers = [["Content-Type", "text/plain"], ["X-Bot", "1"]]
    alice.patch(path, {"answer": {"body": " ok\n", "headers": headers}})
    status, found = alice.patch(path, {"answer": {"status": 202, "failFirst": 1, "cors": True}})
    assert status == 200
    assert found["answer"] == {
        "status": 202,
        "headers": headers,
        "body": " ok\n",
        "delay": 0.0,
        "failFirst": 1,
        "failsLeft": 1,
        "cors": True,
    }
    first, second = (Client().post(f"/bin/{bin.key}", b"{}", "application/json") for _ in range(2))
    assert (first.status_code, second.status_code) == (500, 202)
    assert (second.content, second.headers["X-Bot"]) == (b" ok\n", "1")
    found = alice.get(path)[1]
    assert (found["lastNumber"], found["captures"], found["answer"]["failsLeft"]) == (2, 2, 0)
    entry = AuditEntry.objects.filter(action=AuditAction.BIN_RESPONSE_CHANGED).latest("pk")
    assert entry.detail["answer"] == "500 1 more time, then 202, immediately"


def test_a_field_that_another_call_changes_meanwhile_keeps_its_value(
    alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate_late(serializer: Any) -> dict[str, Any]:
        Bin.objects.filter(pk=bin.pk).update(answer_status=202)
        return validate(serializer)

    monkeypatch.setattr(bin_views, "validate", validate_late)
    answer = alice.patch(f"bins/{bin.key}/", {"answer": {"delay": 2}})[1]["answer"]
    assert (answer["status"], answer["delay"]) == (202, 2.0)


def test_a_preset_replaces_the_whole_response(alice: ApiClient, bin: Bin) -> None:
    alice.patch(f"bins/{bin.key}/", {"answer": {"status": 404, "body": "gone"}})
    answer = alice.patch(f"bins/{bin.key}/", {"preset": "slow"})[1]["answer"]
    assert (answer["status"], answer["body"], answer["delay"]) == (200, '{"ok": true}', 20.0)


@pytest.mark.parametrize(
    ("data", "field", "error"),
    [
        ({"answer": {"status": 199}}, "answer.status", "greater than or equal to 200"),
        ({"answer": {"delay": 31}}, "answer.delay", "less than or equal to 30"),
        ({"answer": {"failFirst": 501}}, "answer.failFirst", "less than or equal to 500"),
        ({"answer": {"body": "é" * 40_000}}, "answer.body", "longer than 64 KB"),
        ({"answer": {"headers": [["Set-Cookie", "a=b"]]}}, "answer.headers", "Header 1: a bin cannot send Set-Cookie"),
        ({"answer": {"headers": [["X-A", "1"], ["Content-Type", "text/html"]]}}, "answer.headers", "Header 2: a bin"),
        ({"answer": {"headers": [["X-A", "1\r\nSet-Cookie: a=b"]]}}, "answer.headers", "a value must be ASCII"),
        ({"answer": {"headers": [["X-A: 1\r\nSet-Cookie", "a=b"]]}}, "answer.headers", "Header 1 is not a header"),
        ({"answer": {"headers": [["X-A"]]}}, "answer.headers.0", "at least 2 elements"),
        ({"answer": {"headers": [["X-A", "1"]] * 21}}, "answer.headers", "21 headers are too many"),
        ({"answer": {"state": 200}}, "answer.state", "Unknown field. The fields are: status, headers"),
        ({"preset": "odd"}, "preset", "Must be one of: ok, fail, recover, slow, challenge."),
        ({"preset": "ok", "answer": {}}, "preset", "not both"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else None,
)  # fmt: skip
def test_an_invalid_response_changes_nothing(
    alice: ApiClient, bin: Bin, data: dict[str, Any], field: str, error: str
) -> None:
    before = alice.get(f"bins/{bin.key}/")
    status, answer = alice.patch(f"bins/{bin.key}/", data)
    assert status == 400
    assert error in answer["fields"][field]
    assert alice.get(f"bins/{bin.key}/") == before


def test_a_bin_and_a_capture_are_shared_until_the_link_is_revoked(alice: ApiClient, bin: Bin) -> None:
    shown, other = capture(bin, b'{"shown": 1}'), capture(bin, b'{"other": 2}')
    path = f"bins/{bin.key}/shares/"
    status, whole = alice.post(path, {})
    one = alice.post(path, {"validFor": "7d", "capture": shown.public_id})[1]
    assert status == 201
    assert (whole["captureNumber"], one["captureNumber"]) == (None, 1)
    assert "shown" in Client().get(one["url"]).text
    assert Client().get(f"{one['url']}{other.public_id}/").status_code == 404
    assert Client().get(f"{whole['url']}{other.public_id}/").status_code == 200
    listed = alice.get(path)[1]["results"]
    assert listed == [{name: value for name, value in link.items() if name != "url"} for link in (one, whole)]

    assert alice.call("DELETE", f"{path}{one['id']}/") == (204, None)
    assert Client().get(one["url"]).status_code == 404
    assert [link["id"] for link in alice.get(path)[1]["results"]] == [whole["id"]]


def test_a_bin_has_a_limit_of_links(alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_links, "MAX_SHARES", 1)
    alice.post(f"bins/{bin.key}/shares/", {})
    assert alice.post(f"bins/{bin.key}/shares/", {}) == (
        409,
        {"error": "This bin has 1 valid links. Revoke one first."},
    )


def test_links_of_other_bins_are_not_revoked(alice: ApiClient, bob: ApiClient, bin: Bin) -> None:
    theirs = bob.post(f"bins/{open_bin(bob.instance).key}/shares/", {})[1]
    status, answer = alice.call("DELETE", f"bins/{bin.key}/shares/{theirs['id']}/")
    assert (status, answer) == (404, {"error": f"Bin {bin.key} has no link {theirs['id']}."})
    assert Client().get(theirs["url"]).status_code == 200
    assert alice.post(f"bins/{bin.key}/shares/", {"capture": "x"})[0] == 404
    assert alice.post(f"bins/{bin.key}/shares/", {"validFor": "1y"})[0] == 400


def test_a_deleted_bin_is_gone_with_its_captures_and_the_next_one_has_another_url(
    alice: ApiClient, bin: Bin
) -> None:
    capture(bin)
    assert alice.call("DELETE", f"bins/{bin.key}/") == (204, None)
    assert alice.get(f"bins/{bin.key}/")[0] == 404
    assert Client().post(f"/bin/{bin.key}", b"{}", content_type="application/json").status_code == 404
    assert Capture.objects.count() == 0
    [entry] = AuditEntry.objects.filter(action="bin.deleted")
    assert entry.detail == {"requests": 1}
    status, opened = alice.post("bins/", {"instance": str(alice.instance.number)})
    assert status == 201
    assert (opened["key"] != bin.key, opened["lastNumber"]) == (True, 0)


def test_a_bin_is_not_deleted_while_a_verification_sends_hooks_to_it(alice: ApiClient, bin: Bin) -> None:
    start_verification(alice.instance, acting_user=None)
    status, answer = alice.call("DELETE", f"bins/{bin.key}/")
    assert status == 409
    assert answer["error"].endswith("Stop it first.")
    stop_verification(alice.instance, acting_user=None)
    assert alice.call("DELETE", f"bins/{bin.key}/") == (204, None)
