"""The alert webhook over REST: set, read, rotate, test, list, remove; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.models import AuditEntry, Scope
from instances.models import Alert, AlertWebhook
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver

PATH = "alert-webhook/"
URL = "https://ops.example.com/alerts"


def set_webhook(client: ApiClient, url: str = URL) -> dict[str, Any]:
    status, found = client.call("PUT", PATH, {"url": url})
    assert status == 200
    return dict(found)


def test_the_secret_stays_when_the_url_changes_and_ends_with_the_webhook(alice: ApiClient) -> None:
    first = set_webhook(alice)
    assert first["secret"].startswith("whsec_")
    moved = set_webhook(alice, f"{URL}/new")
    assert moved == first | {"url": f"{URL}/new"}
    assert alice.get(PATH) == (200, moved)
    assert alice.call("DELETE", PATH) == (204, None)
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "test/"),
        ("POST", "rotate-secret/"),
        ("GET", "alerts/"),
    ):
        status, refused = alice.call(method, PATH + path)
        assert (status, refused["error"]) == (404, "Your account has no alert webhook. Set its URL with PUT.")
    assert set_webhook(alice)["secret"] != first["secret"]


def test_the_old_secret_is_kept_for_a_day_unless_it_leaked(alice: ApiClient) -> None:
    first = set_webhook(alice)
    _, rotated = alice.post(f"{PATH}rotate-secret/", None)
    assert rotated["secret"] != first["secret"] and rotated["previousSecretUntil"]
    webhook = AlertWebhook.objects.get()
    assert webhook.valid_secrets(timezone.now()) == [rotated["secret"], first["secret"]]
    AlertWebhook.objects.update(previous_secret_until=timezone.now())
    assert alice.get(PATH)[1]["previousSecretUntil"] is None

    _, again = alice.post(f"{PATH}rotate-secret/", {"keepOld": False})
    assert again["previousSecretUntil"] is None
    assert AlertWebhook.objects.get().valid_secrets(timezone.now()) == [again["secret"]]
    kept = AuditEntry.objects.filter(action="alerts.secret_rotated").order_by("pk")
    assert [entry.detail["old_secret_kept"] for entry in kept] == [True, False]
    status, refused = alice.post(f"{PATH}rotate-secret/", {"keepOld": "perhaps"})
    assert (status, list(refused["fields"])) == (400, ["keepOld"])


@pytest.mark.parametrize(
    "given",
    [
        None, [], "text", {}, {"url": None}, {"url": ""}, {"url": 5}, {"url": ["https://a.example/"]},
        {"url": "https://a.example/\x00"}, {"url": "https://a.example/\ud800"}, {"url": "https://\udfff.example/"},
        {"url": "https://a.example/" + "a" * 2000}, {"url": "https://u:p@a.example/"}, {"url": "javascript:alert(1)"},
        {"url": "//a.example/"}, {"url": "https://a.example:99999/"}, {"url": URL, "secret": "whsec_mine"},
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_and_changes_nothing(alice: ApiClient, given: Any) -> None:
    before = set_webhook(alice)
    status, refused = alice.call("PUT", PATH, given)
    assert (status, bool(refused["error"])) == (400, True)
    assert alice.get(PATH) == (200, before)


def test_the_result_of_a_test_is_in_the_list(alice: ApiClient) -> None:
    with Receiver([(410, {}, b"")]) as receiver:
        set_webhook(alice, receiver.url)
        status, tested = alice.post(f"{PATH}test/", None)
    assert (status, tested["state"], tested["test"], tested["nextAttemptAt"]) == (200, "failed", True, None)
    [made] = tested["attempts"]
    assert (made["status"], made["nextStep"]) == (410, "It is not retried. Set the new URL.")
    assert tested["id"] == receiver.requests[0].headers["webhook-id"]
    assert alice.get(f"{PATH}alerts/")[1]["results"] == [tested]


def test_a_key_that_may_not_manage_sees_and_changes_nothing(alice: ApiClient) -> None:
    before = set_webhook(alice)
    reader = ApiClient(
        alice.account,
        issue_key(alice.account, name="reader", scopes={Scope.READ, Scope.SEND}, acting_user=None)[1],
        alice.instance,
    )
    for method, path in (
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "rotate-secret/"), ("POST", "test/"), ("GET", "alerts/"),
    ):  # fmt: skip
        assert reader.call(method, PATH + path, {"url": URL} if method == "PUT" else None)[0] == 403
    assert (alice.get(PATH), Alert.objects.count()) == ((200, before), 0)


def test_accounts_see_their_own_webhook_alone(alice: ApiClient, bob: ApiClient) -> None:
    mine, other = set_webhook(alice), set_webhook(bob, f"{URL}/bob")
    assert mine["secret"] != other["secret"]
    assert bob.call("DELETE", PATH) == (204, None)
    assert alice.get(PATH) == (200, mine)
