"""Account keys: no key gives more than it has, none is found by another account, and an ended one ends at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions.keys import issue_key, revoke_key
from accounts.models import AccountKey, AuditEntry, Member, Scope
from hooks.actions import listening
from instances.limits.waiting_calls import WAITED
from testing_tools.verification.actions.bins import open_bin
from tests.factories import member_of
from tests.instances.api.conftest import ApiClient, create_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> ApiClient:
    return create_account("alice")


def with_key(client: ApiClient, *scopes: Scope, **options: Any) -> AccountKey:
    """Creates a key with these scopes, which the client uses from now on."""
    key, client.key = issue_key(client.account, scopes=scopes, acting_user=None, **options)
    return key


def stored() -> list[dict[str, Any]]:
    """The keys, without the times of their use."""
    unused = {"last_used_at": None, "last_used_from": ""}
    return [row | unused for row in AccountKey.objects.order_by("pk").values()]


def test_keys_of_other_accounts_are_not_found(alice: ApiClient) -> None:
    bob = create_account("bob")
    theirs = AccountKey.objects.get(account=bob.account)
    own = AccountKey.objects.get(account=alice.account)
    before = stored()
    for method, path in (("GET", ""), ("POST", "rotate/"), ("POST", "revoke/")):
        error = {"error": f"Your account has no key {theirs.prefix}."}
        assert alice.call(method, f"keys/{theirs.prefix}/{path}", {}) == (404, error)
    assert [row["id"] for row in alice.get("keys/")[1]["results"]] == [own.prefix]
    assert stored() == before


@pytest.mark.parametrize("more", [[Scope.READ], [Scope.SEND], [Scope.MANAGE, Scope.SEND], [*Scope]])
def test_a_key_creates_none_with_more_scopes(alice: ApiClient, more: list[Scope]) -> None:
    whole = AccountKey.objects.get(account=alice.account)
    with_key(alice, Scope.MANAGE)
    before = stored()
    status, response = alice.post("keys/", {"name": "x", "scopes": more})
    assert (status, response["error"].split(":")[0]) == (
        403,
        "A key cannot create one with more scopes than it has",
    )
    assert alice.post(f"keys/{whole.prefix}/rotate/", {})[0] == 403
    assert stored() == before


def test_a_key_creates_none_that_is_valid_for_longer(alice: ApiClient) -> None:
    soon = timezone.now() + timedelta(hours=1)
    AccountKey.objects.all().delete()
    key = with_key(alice, *Scope, expires_at=soon)
    for later in (None, (soon + timedelta(seconds=1)).isoformat()):
        status, response = alice.post("keys/", {"name": "x", "scopes": ["read"], "expiresAt": later})
        assert (status, response["error"].split(":")[0]) == (
            403,
            "A key cannot create one that is valid for longer",
        )
    assert alice.post("keys/", {"name": "x", "scopes": ["read"], "expiresAt": soon.isoformat()})[0] == 201
    assert alice.post(f"keys/{key.prefix}/rotate/", {})[0] == 201
    assert {row.expires_at for row in AccountKey.objects.all()} == {soon}


def test_a_key_without_all_scopes_makes_no_manager(alice: ApiClient) -> None:
    """A manager could read the tokens for its holder."""
    member = Member.objects.get(user=member_of(alice.account, "viewer", "vera@example.org"))
    with_key(alice, Scope.READ, Scope.MANAGE)
    status, response = alice.patch(f"members/{member.pk}/", {"role": "manager"})
    assert (status, response["error"].split(",")[0]) == (403, "This call needs the scope `send`")
    assert Member.objects.get().role == "viewer"


def test_the_text_of_a_key_is_in_one_response_and_nowhere_else(alice: ApiClient) -> None:
    status, created = alice.post("keys/", {"name": "CI", "scopes": ["read"]})
    text = created["key"]
    assert (status, created["id"], created["scopes"]) == (201, text[:12], ["read"])
    _, rotated = alice.post(f"keys/{text[:12]}/rotate/", {"overlapHours": 2})
    for path in ("keys/", f"keys/{text[:12]}/"):
        shown = str(alice.get(path)[1])
        assert text[12:] not in shown and rotated["key"][12:] not in shown
    kept = str([*AccountKey.objects.values_list(), *AuditEntry.objects.values_list()])
    assert text[12:] not in kept and rotated["key"][12:] not in kept
    assert alice.post(f"keys/{rotated['id']}/revoke/", {})[1]["state"] == "revoked"
    alice.key = rotated["key"]
    assert alice.get("account/")[1]["error"].startswith(f"The account key {rotated['id']}… was revoked on ")


def test_keys_are_looked_up_by_their_digest(alice: ApiClient) -> None:
    """No comparison takes longer for a text that begins like a key: the database never gets the text."""
    wrong = alice.key[:-1] + ("a" if alice.key[-1] != "a" else "b")
    for text in (alice.key, wrong):
        with CaptureQueriesContext(connection) as queries:
            Client().get("/api/v1/account/", headers={"Authorization": f"Bearer {text}"})
            Client().get(f"/listInstances?uid={text}")
        assert len(queries) >= 2
        assert not [query for query in queries.captured_queries if text in query["sql"]]
    # only the holder of the whole text learns that a key has ended
    revoke_key(AccountKey.objects.get(account=alice.account), acting_user=None)
    assert "was revoked on" in alice.get("account/")[1]["error"]
    alice.key = wrong
    assert alice.get("account/")[1]["error"].startswith("Wrong account key. ")


def test_a_revoked_key_ends_the_calls_that_wait(alice: ApiClient) -> None:
    """The web server serves a waiting call again until its time is over, and each time the key is checked."""
    bin = open_bin(alice.instance)
    run = listening.start(alice.instance.pk, url="http://localhost:3000/hook", acting_user=None)
    listener = f"{alice.home}listeners/{run.endpoint.pk}-{run.key.hex}/take/?wait=30"
    calls = (("GET", f"bins/{bin.key}/captures/next/?wait=30"), ("POST", listener))

    def served(method: str, path: str, waited: float) -> tuple[int, bool]:
        environ: dict[str, Any] = {WAITED: waited}
        headers = {"Authorization": f"Bearer {alice.key}"}
        response = Client().generic(method, f"/api/v1/{path}", headers=headers, **environ)
        return response.status_code, hasattr(response, "repeat")

    assert [served(*call, waited) for call in calls for waited in (0.0, 0.5)] == [(200, True)] * 4
    revoke_key(AccountKey.objects.get(account=alice.account), acting_user=None)
    assert [served(*call, 1.0) for call in calls] == [(401, False)] * 2
