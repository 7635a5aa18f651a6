"""Links to a hook over REST: create, list, revoke."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.actions import share_links
from accounts.audit import AuditAction, AuditEntry
from hooks.models import Hook
from tests.hooks.attempted import attempt_hook
from tests.instances.api.conftest import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(alice: ApiClient) -> Hook:
    return attempt_hook(alice.instance.endpoint, 500, url="https://example.com/", body=b"Traceback", size=9)


def test_a_hook_is_shared_until_the_link_is_revoked(alice: ApiClient, client: Client, hook: Hook) -> None:
    path = f"hooks/{hook.webhook_id}/shares/"
    status, made = alice.post(path, {"validFor": "24h"})
    assert status == 201
    assert set(made) == {"id", "createdAt", "expiresAt", "url"}
    address = made.pop("url").removeprefix("http://localhost:8000")
    assert "Traceback" in client.get(address).content.decode()
    assert alice.call("GET", path) == (200, {"results": [made]})
    assert alice.call("DELETE", f"{path}{made['id']}/")[0] == 204
    assert client.get(address).status_code == 404
    assert alice.call("GET", path) == (200, {"results": []})
    assert alice.call("DELETE", f"{path}{made['id']}/")[0] == 204  # changes nothing
    actions = AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[:2]
    assert list(actions) == [AuditAction.HOOK_SHARE_REVOKED, AuditAction.HOOK_SHARED]


def test_what_is_refused(
    alice: ApiClient, bob: ApiClient, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"hooks/{hook.webhook_id}/shares/"
    made = alice.post(path, {})[1]
    assert alice.post(path, {"validFor": "1y"})[0] == 400
    assert alice.post(path, {"valid": "1h"})[0] == 400
    assert alice.call("DELETE", f"{path}x/")[0] == 404
    assert bob.call("GET", path)[0] == 404
    assert bob.post(path, {})[0] == 404
    assert bob.call("DELETE", f"{path}{made['id']}/")[0] == 404
    monkeypatch.setattr(share_links, "MAX_SHARES", 1)
    status, answer = alice.post(path, {})
    assert status == 409
    assert "This instance has 1 valid links. Revoke one first." in str(answer)
