"""The drawer of the log: one hook beside the list, named by `?open=`."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import User
from hooks.models import State
from instances.models import Instance
from tests.factories import InstanceFactory, create_hook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def test_the_list_shows_the_hook_that_its_url_names(alice: Client, instance: Instance) -> None:
    hook = create_hook(endpoint=instance.endpoint, state=State.RETRYING, body=b"{}")
    page = alice.get("/log/", {"state": "retrying", "open": hook.public_id.hex})
    assert '<dialog class="drawer" id="drawer" aria-labelledby="drawer-title" open>' in page.text
    assert f'href="/log/{hook.public_id}/">Open page</a>' in page.text
    assert 'href="?state=retrying"\n      data-drawer-close' in page.text  # without a script
    for unknown in ("", "x", str(uuid4()), "\x00", "9" * 4000, "-1", "{}", "../" * 20, "<script>"):
        assert "Hook not found" in alice.get("/log/", {"open": unknown}).text


def test_a_hook_of_a_stranger_is_not_found(bob: Client, instance: Instance) -> None:
    hook = create_hook(endpoint=instance.endpoint, body=b'{"secret":1}')
    bobs_own = InstanceFactory(owner=User.objects.get(email="bob@example.org").account)
    page = bob.get("/log/", {"instance": str(bobs_own.number), "open": str(hook.public_id)})
    assert "Hook not found" in page.text
    assert "secret" not in page.text
    assert bob.get(f"/log/{hook.public_id}/", {"drawer": "1"}).status_code == 404


def test_its_buttons_get_the_new_content_of_the_drawer(alice: Client, instance: Instance) -> None:
    hook = create_hook(endpoint=instance.endpoint, state=State.RETRYING, body=b"{}")
    done = alice.post(f"/log/{hook.public_id}/cancel/", headers=HTMX)
    assert "The hook is cancelled and is not retried." in done.text
    assert "<html" not in done.text
    late = alice.post(f"/log/{hook.public_id}/cancel/", headers=HTMX)
    assert late.status_code == 200
    assert 'role="alert"' in late.text
