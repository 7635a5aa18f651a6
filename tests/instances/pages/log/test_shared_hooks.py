"""A link lets anyone read one hook with its attempts, without credentials, until it expires or is revoked."""

from __future__ import annotations

import base64
import gzip
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actions import share_links
from accounts.actions.share_links import VALID_FOR
from accounts.audit import AuditAction, AuditEntry
from hooks.models import Hook, Outcome
from instances.actions.hook_shares import delete_ended_shares, revoke_share, share_hook
from instances.actions.lifecycle import delete_instance
from instances.actions.stopping import block_account, unblock_account
from instances.models import HookShare, Instance
from instances.pages.log.shared_hooks import masked_url
from tests.factories import AccountFactory, InstanceFactory, UserFactory, member_of
from tests.hooks.attempted import attempt_hook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
KEY = "k3y0fTheCustomer77"
SESSION = "abc-of-the-session"
SIGNATURE = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="


@pytest.fixture
def instance() -> Instance:
    url = f"https://shop.example.com/hook/{KEY}?token=hush-hush"
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"), number=12345, name="Shop", url=url
    )


@pytest.fixture
def hook(instance: Instance) -> Hook:
    """Failed twice: a redirect, then a 500."""
    headers = [["Location", f"/moved/{KEY}?token=hush-hush"], ["Set-Cookie", f"sid={SESSION}"]]
    instance.endpoint.guaranteed = True
    instance.endpoint.save()
    found = attempt_hook(instance.endpoint, 302, outcome=Outcome.REDIRECT, headers=headers)
    return attempt_hook(
        instance.endpoint, 500, hook=found, headers=headers, body=b"<b>Traceback</b>", size=16
    )


def link_to(hook: Hook) -> tuple[HookShare, str]:
    created, url = share_hook(
        hook, instance=hook.endpoint.instance, valid_for=VALID_FOR["1h"], acting_user=None
    )
    return created, url.removeprefix("http://localhost:8000")


def test_a_link_of_a_blocked_account_is_404_until_it_is_unblocked(client: Client, hook: Hook) -> None:
    account, staff = hook.endpoint.instance.owner, UserFactory(is_staff=True)
    _, path = link_to(hook)
    block_account(account, reason="spam", acting_user=staff)
    assert client.get(path).status_code == 404
    unblock_account(account, acting_user=staff)
    assert client.get(path).status_code == 200


def test_a_link_of_an_owner_who_cannot_sign_in_is_404(client: Client, hook: Hook) -> None:
    owner = hook.endpoint.instance.owner.owner
    _, path = link_to(hook)
    owner.is_active = False
    owner.save()
    assert client.get(path).status_code == 404


def test_a_link_is_revoked_once(hook: Hook) -> None:
    created, _ = link_to(hook)
    same = HookShare.objects.get(pk=created.pk)  # of a second request that has read it before
    for link in (created, same):
        revoke_share(link, acting_user=None)
    assert AuditEntry.objects.filter(action=AuditAction.HOOK_SHARE_REVOKED).count() == 1


@pytest.mark.parametrize(("valid_for", "time"), list(VALID_FOR.items()))
def test_the_owner_creates_a_link_for_the_chosen_time(
    alice: Client, client: Client, hook: Hook, valid_for: str, time: timedelta
) -> None:
    page = alice.get(f"/log/{hook.public_id}/")
    assert f'href="/log/{hook.public_id}/share/"' in page.text
    done = alice.post(f"/log/{hook.public_id}/share/", {"valid_for": valid_for}, headers=HTMX)
    assert "<html" not in done.text
    found = re.search(r'value="http://localhost:8000(/shared/hooks/[\w-]{43}/)"', done.text)
    assert found
    [made] = HookShare.objects.all()
    assert (made.expires_at - made.created_at, made.made_by) == (time, hook.endpoint.instance.owner.owner)
    assert made.digest == share_links.digest(found[1].split("/")[3])
    entry = AuditEntry.objects.filter(action=AuditAction.HOOK_SHARED).get()
    assert entry.detail == {"lasts": valid_for, "hook": hook.webhook_id}
    assert "Traceback" in client.get(found[1]).text


def test_anyone_reads_all_attempts_and_no_credential(client: Client, hook: Hook) -> None:
    _, path = link_to(hook)
    answer = client.get(path)
    page = answer.text
    for words in (
        "Responded with 500, not 200",
        "Responded with 302, not 200",
        "&lt;b&gt;Traceback",
        "Earlier attempts",
    ):
        assert words in page
    assert "https://shop.example.com/hook/***?token=***" in page
    assert "a redirect to https://shop.example.com/moved/***?token=***." in page
    for secret in (KEY, "hush-hush", SESSION, "v1,", "alice@example.org"):
        assert secret not in page
    assert not answer.cookies
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    for forbidden in ("<form", "Use this URL", 'href="/log/', 'href="/instances/'):
        assert forbidden not in page
    assert client.post(path).status_code == 405


def test_credentials_that_the_response_repeats_are_masked(client: Client, instance: Instance) -> None:
    body = f"{KEY} hush-hush hush%2Dhush {base64.b64encode(b'hush-hush').decode()} Traceback".encode()
    for one, encoding in ((body, []), (gzip.compress(body), [["Content-Encoding", "gzip"]])):
        headers = [*encoding, ["X-Path", f"/hook/{KEY}"], ["Refresh", "1; url=/other/?code=not-for-all"]]
        headers += [["Link", '<page?code=not-for-all>; rel="next"'], ["X-Auth-Token", "not-for-all"]]
        headers += [["X-Signed", SIGNATURE], ["WWW-Authenticate", 'Basic realm="shop"']]
        hook = attempt_hook(instance.endpoint, 401, headers=headers, body=one, size=len(one))
        hook.attempts.update(request_headers=[["webhook-signature", f"v1,c2lnbmVk {SIGNATURE}"]])
        page = client.get(link_to(hook)[1]).text
        for secret in (KEY, "hush", "aHVzaC1odXNo", "not-for-all", "c2ln", SIGNATURE[3:]):
            assert secret not in page
        assert "Bytes as received" not in page
        for words in ("Traceback", "/other/?code=***", "&lt;page?code=***&gt;", "Basic realm="):
            assert words in page


def location(*secrets: str) -> list[str]:
    return ["Location", "/login?" + "&".join(f"a={secret}" for secret in secrets)]


@pytest.mark.parametrize(
    ("headers", "is_shown"),
    [
        ([location(*(f"secret-{number:03}" for number in range(40)))], True),
        ([location(*(f"secret-{number:03}" for number in range(60)))], False),
        ([location("secret-1" * 200)], True),
        ([location("secret-1" * 200), location("secret-2" * 200)], False),
    ],
)
def test_a_response_with_too_many_credentials_to_look_for_is_masked_whole(
    client: Client, instance: Instance, headers: list[list[str]], is_shown: bool
) -> None:
    body = b"Traceback secret-039 " + b"secret-1" * 200
    headers = [*headers, ["X-Words", "a word"]]
    hook = attempt_hook(instance.endpoint, 302, headers=headers, body=body, size=len(body))
    page = client.get(link_to(hook)[1]).text
    assert ("Traceback" in page, "a word" in page) == (is_shown, is_shown)
    for _, value in headers[:-1]:
        assert value.partition("=")[2].partition("&")[0] not in page


def test_the_page_is_the_same_with_a_session(alice: Client, client: Client, hook: Hook) -> None:
    _, path = link_to(hook)
    pages = [re.sub(r'nonce="[^"]*"|<time.*?</time>', "", one.get(path).text) for one in (alice, client)]
    assert pages[0] == pages[1]


def test_a_revoked_expired_or_unknown_link_is_404(alice: Client, client: Client, hook: Hook) -> None:
    revoked, path = link_to(hook)
    page = alice.get(f"/log/{hook.public_id}/share/").text
    assert f'action="/log/{hook.public_id}/share/{revoked.pk}/revoke/"' in page
    done = alice.post(f"/log/{hook.public_id}/share/{revoked.pk}/revoke/", headers=HTMX)
    assert "Revoked. The link no longer works." in done.text
    assert AuditEntry.objects.filter(action=AuditAction.HOOK_SHARE_REVOKED).count() == 1
    expired, expired_path = link_to(hook)
    HookShare.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    for address in (path, expired_path, f"/shared/hooks/{'a' * 43}/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "Invalid link" in answer.text
        assert "Traceback" not in answer.text


def test_a_link_ends_with_its_hook(client: Client, hook: Hook) -> None:
    _, path = link_to(hook)
    hook.delete()
    answer = client.get(path)
    assert (answer.status_code, answer["Cache-Control"]) == (404, "no-store")


def test_a_link_ends_with_its_instance(client: Client, hook: Hook) -> None:
    _, path = link_to(hook)
    delete_instance(hook.endpoint.instance, acting_user=None)  # its hooks are deleted later, by a task
    assert Hook.objects.filter(pk=hook.pk).exists()
    assert client.get(path).status_code == 404


def test_links_that_ended_a_week_ago_are_deleted(hook: Hook) -> None:
    (old, _), (new, _) = link_to(hook), link_to(hook)
    HookShare.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=8))
    assert delete_ended_shares() == 1
    assert HookShare.objects.get() == new


def test_the_number_of_links_is_limited(alice: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_links, "MAX_SHARES", 1)
    link_to(hook)
    answer = alice.post(f"/log/{hook.public_id}/share/", {"valid_for": "1h"})
    assert answer.status_code == 422
    assert "This instance has 1 valid links. Revoke one first." in answer.text
    assert HookShare.objects.count() == 1


def test_a_stranger_and_a_viewer_neither_create_nor_revoke(bob: Client, client: Client, hook: Hook) -> None:
    made, _ = link_to(hook)
    client.force_login(member_of(hook.endpoint.instance.owner, "viewer"))
    assert "/share/" not in client.get(f"/log/{hook.public_id}/").text
    for one, status in ((bob, 404), (client, 403)):
        assert one.get(f"/log/{hook.public_id}/share/").status_code == status
        assert one.post(f"/log/{hook.public_id}/share/").status_code == status
        assert one.post(f"/log/{hook.public_id}/share/{made.pk}/revoke/").status_code == status
    made.refresh_from_db()
    assert made.revoked_at is None


def test_a_link_of_another_hook_is_not_revoked_from_here(
    alice: Client, hook: Hook, instance: Instance
) -> None:
    made, _ = link_to(hook)
    other = attempt_hook(instance.endpoint, 500)
    assert alice.post(f"/log/{other.public_id}/share/{made.pk}/revoke/").status_code == 404


def test_the_token_is_removed_from_the_logs() -> None:
    from chatapi.monitoring.logging_config import without_secrets

    assert without_secrets(f"GET /shared/hooks/{'aB-_' * 10}abc/") == "GET /shared/hooks/…/"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://a.example/hook", "https://a.example/hook"),
        ("https://a.example/webhooks/incoming-messages/", "https://a.example/webhooks/incoming-messages/"),
        ("https://a.example/hook?a=1&b=", "https://a.example/hook?a=***&b=***"),
        ("https://a.example/hook?secret", "https://a.example/hook?***"),
        ("https://a.example/hook?c2VjcmV0LWtleTE=", "https://a.example/hook?***"),
        ("https://a.example/oauth2/login-v2/2024-11-30", "https://a.example/oauth2/login-v2/2024-11-30"),
        ("https://a.example/catch/1234567/b1x2yz3/", "https://a.example/catch/***/***/"),
        ("https://a.example/bot5551234:AAHdqT-cvCH1v", "https://a.example/***"),
        ("https://a.example/hook;jsessionid=1A530637289A03", "https://a.example/***"),
        ("https://a.example/caf%C3%A9s/", "https://a.example/caf%C3%A9s/"),
        ("https://a.example/h/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "https://a.example/h/***"),
        ("https://a.example/h/aBcDeFgHiJkLmNoP", "https://a.example/h/***"),
        ("https://user:secret@a.example/#secret", "https://a.example/#***"),
        ("/login?next=/hook", "/login?next=***"),
        ("http://[nonsense", "***"),
    ],
)
def test_credentials_in_urls_are_masked(url: str, masked: str) -> None:
    assert masked_url(url) == masked
