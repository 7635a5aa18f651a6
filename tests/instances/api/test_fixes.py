"""The suggested URL and setting of hooks, attempts, issues and tests: the same as the buttons of the pages."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone

from hooks.actions.endpoints import configure
from hooks.maintenance import issues
from hooks.models import Endpoint, Issue, Kind, Outcome, SkipReason, State
from instances.actions.settings import change_settings
from tests.factories import create_hook
from tests.hooks.attempted import attempt_hook
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver

URL = "https://shop.example.com/hook"
TO_SLASH = [["Location", "/hook/"]]


def redirected(endpoint: Endpoint, **options: Any) -> Any:
    return attempt_hook(endpoint, 301, outcome=Outcome.REDIRECT, headers=TO_SLASH, **options)


def suggested(shown: dict[str, Any]) -> tuple[str | None, str | None]:
    return shown["suggestedUrl"], shown["suggestedSetting"]


def page_of(api: ApiClient, path: str) -> str:
    client = Client()
    client.force_login(api.account.owner)
    return client.get(path).text


def test_a_redirected_hook_and_its_issue_name_the_url_of_the_button(alice: ApiClient) -> None:
    endpoint = alice.instance.endpoint
    configure(endpoint, url=URL)
    issues.update()
    hook = redirected(endpoint)
    issues.update()

    shown = alice.get(f"hooks/{hook.webhook_id}/")[1]
    assert suggested(shown) == (f"{URL}/", None)
    assert shown["attempts"][0]["suggestedUrl"] == f"{URL}/"
    [issue] = alice.get("issues/")[1]["results"]
    assert suggested(issue) == (f"{URL}/", None)
    assert alice.get(f"issues/{issue['id']}/") == (200, issue)
    [row] = Issue.objects.all()
    for path in (f"/log/{hook.public_id}/", f"/issues/{row.public_id}/"):
        assert f'name="url" value="{URL}/"' in page_of(alice, path)

    status, _ = alice.patch(f"{alice.home}endpoints/{endpoint.pk}/", {"url": shown["suggestedUrl"]})
    assert status == 200
    shown = alice.get(f"hooks/{hook.webhook_id}/")[1]
    assert shown["suggestedUrl"] is None  # the endpoint has it now
    assert shown["attempts"][0]["suggestedUrl"] == f"{URL}/"
    [issue] = alice.get("issues/")[1]["results"]
    assert issue["suggestedUrl"] is None


def test_the_setting_that_is_off_is_named(alice: ApiClient) -> None:
    endpoint = alice.instance.endpoint
    configure(endpoint, url=URL)
    change_settings(alice.instance, changes={"ackNotificationsOn": False})
    issues.update()
    skipped = create_hook(
        endpoint=endpoint, kind=Kind.ACK, body=b"{}", state=State.SKIPPED, skip_reason=SkipReason.FLAG_OFF,
        finished_at=timezone.now(),
    )  # fmt: skip
    failed = attempt_hook(endpoint, 503)
    issues.update()
    assert suggested(alice.get(f"hooks/{skipped.webhook_id}/")[1]) == (None, "ackNotificationsOn")
    assert suggested(alice.get(f"hooks/{failed.webhook_id}/")[1]) == (None, "guaranteedHooks")
    [issue] = alice.get("issues/")[1]["results"]
    assert suggested(issue) == (None, "guaranteedHooks")

    settings = {"ackNotificationsOn": True, "guaranteedHooks": True}
    assert alice.patch(alice.home, {"settings": settings})[0] == 200
    for hook in (skipped, failed):
        assert suggested(alice.get(f"hooks/{hook.webhook_id}/")[1]) == (None, None)
    assert suggested(alice.get(f"issues/{issue['id']}/")[1]) == (None, None)


def test_an_issue_whose_hooks_are_deleted_names_nothing(alice: ApiClient) -> None:
    configure(alice.instance.endpoint, url=URL)
    issues.update()
    hook = redirected(alice.instance.endpoint)
    issues.update()
    hook.attempts.all().delete()
    [issue] = alice.get("issues/")[1]["results"]
    assert suggested(issue) == (None, None)
    assert issue["outcome"] == "redirect"


def test_the_test_of_an_endpoint_names_the_url_that_works(alice: ApiClient) -> None:
    endpoint = alice.instance.endpoint
    path = f"{alice.home}endpoints/{endpoint.pk}/"
    with Receiver(
        lambda got: (200, {}, b"") if got.path == "/hook/" else (308, {"Location": "/hook/"}, b"")
    ) as receiver:
        configure(endpoint, url=receiver.url)
        status, shown = alice.call("POST", f"{path}test/")
        assert (status, shown["state"]) == (200, "failed")
        assert suggested(shown) == (f"{receiver.url}/", None)
        assert alice.patch(path, {"url": shown["suggestedUrl"]})[0] == 200
        status, shown = alice.call("POST", f"{path}test/")
    assert (status, shown["state"]) == (200, "delivered")
    assert suggested(shown) == (None, None)
    assert shown["attempts"][0]["suggestedUrl"] is None
