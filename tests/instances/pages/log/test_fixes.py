"""The buttons that fix the cause of a hook's failure, on its page, in the drawer and on the page of an issue."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.audit import AuditAction, AuditEntry
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import configure, pause
from hooks.maintenance import issues
from hooks.models import Endpoint, Hook, Issue, Kind, Outcome, Redelivery, SkipReason, State
from instances.actions.settings import change_settings, read_settings
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_hook, member_of
from tests.hooks.attempted import attempt_hook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
URL = "https://shop.example.com/hook"


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345, url=URL)


def redirected(endpoint: Endpoint, *, age: float = 0, location: str = "/hook/", **options: Any) -> Hook:
    """A hook whose attempt was redirected `age` minutes ago."""
    at = timezone.now() - timedelta(minutes=age)
    headers = [["Location", location]]
    return attempt_hook(endpoint, 301, outcome=Outcome.REDIRECT, at=at, headers=headers, **options)


def url_of(instance: Instance) -> str:
    return Endpoint.objects.get(pk=instance.endpoint.pk).url


def form_of(page: str, action: str) -> dict[str, str]:
    """The fields of the form with this action, as a browser submits them; {} without one."""
    found = re.search(rf'<form[^>]*action="[^"]*/{action}/"(.*?)</form>', page, re.DOTALL)
    inputs = re.findall(r"<input[^>]*>", found[1]) if found else []
    values = {}
    for one in inputs:
        name, value = re.search(r'name="([^"]*)"', one), re.search(r'value="([^"]*)"', one)
        if name and name[1] != "csrfmiddlewaretoken" and ("checkbox" not in one or " checked" in one):
            values[name[1]] = value[1] if value else "on"
    return values


def test_the_url_is_changed_and_the_hook_resent(alice: Client, instance: Instance) -> None:
    hook = redirected(instance.endpoint)
    page = alice.get(f"/log/{hook.public_id}/").text
    form = form_of(page, "use-url")
    assert form == {"url": f"{URL}/", "resend": "on"}
    assert f'<dd class="mono">{URL}</dd>' in page
    done = alice.post(f"/log/{hook.public_id}/use-url/", form, follow=True)
    assert f"The webhook URL is now {URL}/. The hook is queued again." in done.text
    assert "Use this URL" not in done.text
    hook.refresh_from_db()
    assert (url_of(instance), hook.state) == (f"{URL}/", State.RETRYING)
    audited = AuditEntry.objects.order_by("-pk").values_list("action", flat=True)
    assert list(audited[:2]) == [AuditAction.HOOK_RESENT, AuditAction.SETTINGS_CHANGED]


def test_only_the_url_is_changed_if_nothing_is_ticked(alice: Client, instance: Instance) -> None:
    hook = redirected(instance.endpoint)
    alice.post(f"/log/{hook.public_id}/use-url/", {"url": f"{URL}/"})
    hook.refresh_from_db()
    assert (url_of(instance), hook.state) == (f"{URL}/", State.FAILED)


def test_a_retry_is_due_at_once(alice: Client, instance: Instance) -> None:
    configure(instance.endpoint, guaranteed=True)
    hook = redirected(instance.endpoint)
    assert hook.next_attempt_at is not None
    assert hook.next_attempt_at > timezone.now()
    done = alice.post(f"/log/{hook.public_id}/use-url/", {"url": f"{URL}/", "resend": "on"}, headers=HTMX)
    assert "<html" not in done.text  # the drawer's content
    assert "The hook is queued again." in done.text
    hook.refresh_from_db()
    assert hook.next_attempt_at is not None
    assert hook.next_attempt_at <= timezone.now()


def test_the_others_of_the_issue_are_resent_as_well(alice: Client, instance: Instance) -> None:
    issues.update()
    hooks = [redirected(instance.endpoint, age=age) for age in (9, 8, 7)]
    issues.update()
    form = form_of(alice.get(f"/log/{hooks[0].public_id}/").text, "use-url")
    assert form == {"url": f"{URL}/", "resend": "on", "others": "on"}
    done = alice.post(f"/log/{hooks[0].public_id}/use-url/", form, follow=True)
    assert "The hook is queued again. 2 others are being resent." in done.text
    assert Redelivery.objects.get().planned == 2
    # the page of the issue has the same button
    [issue] = Issue.objects.all()
    page = alice.get(f"/issues/{issue.public_id}/").text
    assert form_of(page, "use-url") == {}  # the endpoint has another URL now
    configure(instance.endpoint, url=URL)
    page = alice.get(f"/issues/{issue.public_id}/").text
    assert form_of(page, "use-url") == {"url": f"{URL}/", "resend": "on", "others": "on"}


def test_hooks_of_one_issue_are_resent_from_the_page_of_each(alice: Client, instance: Instance) -> None:
    issues.update()
    hooks = [attempt_hook(instance.endpoint, 500, at=timezone.now() - timedelta(minutes=9)) for _ in "abc"]
    issues.update()
    [issue] = Issue.objects.all()
    page = alice.get(f"/log/{hooks[1].public_id}/").text
    assert f'action="/issues/{issue.public_id}/resend/"' in page
    assert "Resend the 3 hooks that failed for this reason" in page


@pytest.mark.parametrize(
    "change",
    [
        lambda hook, form: form.update(url="https://evil.example/"),
        lambda hook, form: configure(hook.endpoint, url="https://shop.example.com/other"),
        lambda hook, form: Hook.objects.update(state=State.DELIVERED),
    ],
)
def test_what_the_page_did_not_show_is_not_done(alice: Client, instance: Instance, change: object) -> None:
    hook = redirected(instance.endpoint)
    form = {"url": f"{URL}/", "resend": "on"}
    change(hook, form)  # type: ignore[operator]
    before = url_of(instance)
    done = alice.post(f"/log/{hook.public_id}/use-url/", form, follow=True)
    assert "was changed since this page was shown" in done.text
    assert url_of(instance) == before


@pytest.mark.parametrize(
    "location", ["/login?next=/hook", "http://shop.example.com/hook", "javascript:alert(1)", ""]
)
def test_no_button_for_a_login_page_or_what_is_no_url(
    alice: Client, instance: Instance, location: str
) -> None:
    hook = redirected(instance.endpoint, location=location)
    assert "Use this URL" not in alice.get(f"/log/{hook.public_id}/").text


def test_another_host_is_pointed_out(alice: Client, instance: Instance) -> None:
    words = "The new URL has another host."
    assert words not in alice.get(f"/log/{redirected(instance.endpoint).public_id}/").text
    other = redirected(instance.endpoint, location="https://www.shop.example.com/hook")
    assert words in alice.get(f"/log/{other.public_id}/").text


def test_the_url_of_another_endpoint_is_changed(alice: Client, instance: Instance) -> None:
    crm = add_endpoint(instance.pk, url="https://crm.example.com/in", name="CRM", acting_user=None)
    hook = redirected(crm, location="https://crm.example.com/in/")
    alice.post(f"/log/{hook.public_id}/use-url/", {"url": "https://crm.example.com/in/"})
    crm.refresh_from_db()
    assert (crm.url, url_of(instance)) == ("https://crm.example.com/in/", URL)


def test_a_simulated_hook_is_not_resent_to_its_own_url(alice: Client, instance: Instance) -> None:
    hook = redirected(instance.endpoint, simulated=True)
    Hook.objects.update(to_url=URL)
    assert form_of(alice.get(f"/log/{hook.public_id}/").text, "use-url") == {"url": f"{URL}/"}


def skipped(instance: Instance, kind: Kind, reason: SkipReason) -> Hook:
    return create_hook(
        endpoint=instance.endpoint, kind=kind, body=b"{}", state=State.SKIPPED, skip_reason=reason,
        finished_at=timezone.now(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "reason", "name"),
    [
        (Kind.ACK, SkipReason.FLAG_OFF, "ackNotificationsOn"),
        (Kind.STATUS, SkipReason.FLAG_OFF, "statusNotificationsOn"),
        (Kind.CHAT, SkipReason.FLAG_OFF, "chatUpdateOn"),
        (Kind.MESSAGE, SkipReason.ARCHIVED, "processArchive"),
    ],
)
def test_a_setting_that_is_off_is_turned_on(
    alice: Client, instance: Instance, kind: Kind, reason: SkipReason, name: str
) -> None:
    change_settings(instance, changes={name: False})
    hook = skipped(instance, kind, reason)
    form = form_of(alice.get(f"/log/{hook.public_id}/").text, "turn-on")
    assert form == {"name": name, "resend": "on"}
    done = alice.post(f"/log/{hook.public_id}/turn-on/", form, follow=True)
    assert f"{name} is on. The hook is queued again." in done.text
    instance = Instance.objects.get(pk=instance.pk)
    hook.refresh_from_db()
    assert (read_settings(instance)[name], hook.state) == (True, State.RETRYING)
    assert form_of(alice.get(f"/log/{skipped(instance, kind, reason).public_id}/").text, "turn-on") == {}


def test_only_the_setting_that_the_hook_needs_is_turned_on(alice: Client, instance: Instance) -> None:
    hook = skipped(instance, Kind.ACK, SkipReason.FLAG_OFF)
    change_settings(instance, changes={"ackNotificationsOn": False, "parallelHooks": False})
    done = alice.post(f"/log/{hook.public_id}/turn-on/", {"name": "parallelHooks"}, follow=True)
    assert "was changed since this page was shown" in done.text
    assert read_settings(Instance.objects.get(pk=instance.pk))["parallelHooks"] is False


def test_without_guaranteed_hooks_a_failure_offers_to_turn_them_on(alice: Client, instance: Instance) -> None:
    hook = attempt_hook(instance.endpoint, 503)
    form = form_of(alice.get(f"/log/{hook.public_id}/").text, "turn-on")
    assert form == {"name": "guaranteedHooks", "resend": "on"}
    alice.post(f"/log/{hook.public_id}/turn-on/", form)
    hook.refresh_from_db()
    assert (hook.state, hook.attempts_allowed) == (State.RETRYING, 21)
    # its page does not offer it any more, nor do those of hooks that have had all their attempts
    assert form_of(alice.get(f"/log/{hook.public_id}/").text, "turn-on") == {}


def test_a_paused_endpoint_says_why_the_hook_waits(alice: Client, instance: Instance) -> None:
    configure(instance.endpoint, guaranteed=True)
    hook = redirected(instance.endpoint)
    pause(instance.endpoint, acting_user=None)
    page = alice.get(f"/log/{hook.public_id}/?drawer=1").text
    back = f"/log/?instance=12345&amp;open={hook.public_id.hex}"
    assert re.search(
        rf'name="next" value="{re.escape(back)}"\s*>\s*<button[^>]*>.*?Resume delivery', page, re.DOTALL
    )
    form = {"url": f"{URL}/", "resend": "on"}
    done = alice.post(f"/log/{hook.public_id}/use-url/", form, follow=True)
    assert f"The webhook URL is now {URL}/. Delivery to this endpoint is paused. Resume it" in done.text
    assert url_of(instance) == f"{URL}/"


def test_a_viewer_has_no_buttons_and_a_stranger_no_hook(
    client: Client, bob: Client, instance: Instance
) -> None:
    hook = redirected(instance.endpoint)
    off = skipped(instance, Kind.ACK, SkipReason.FLAG_OFF)
    pause(instance.endpoint, acting_user=None)
    client.force_login(member_of(instance.owner, "viewer"))
    for one in (hook, off):
        page = client.get(f"/log/{one.public_id}/")
        assert page.status_code == 200
        assert 'class="fixes"' not in page.text
        assert "Resume delivery" not in page.text
    for action, form in (("use-url", {"url": f"{URL}/"}), ("turn-on", {"name": "ackNotificationsOn"})):
        assert client.post(f"/log/{hook.public_id}/{action}/", form).status_code == 403
        assert bob.post(f"/log/{hook.public_id}/{action}/", form).status_code == 404
    assert url_of(instance) == URL


def test_earlier_attempts_are_one_line_each(alice: Client, instance: Instance) -> None:
    configure(instance.endpoint, guaranteed=True)
    hook = attempt_hook(instance.endpoint, None, outcome=Outcome.REFUSED, error="Connection refused")
    attempt_hook(instance.endpoint, 500, hook=hook)
    redirected(instance.endpoint, hook=hook)
    page = alice.get(f"/log/{hook.public_id}/").text
    lines = re.findall(
        r'<details class="earlier" id="attempt-(\d+)">\s*<summary>(.*?)</summary>', page, re.DOTALL
    )
    words = [(number, " ".join(re.sub(r"<[^>]+>", " ", line).split())) for number, line in lines]
    assert [number for number, _ in words] == ["2", "1"]
    assert words[0][1].startswith("2 Responded with 500, not 200")
    assert words[1][1].startswith("1 Not reached Connect")
    assert page.count("Use this URL") == 1
