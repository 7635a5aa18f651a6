"""“Use this URL” in the result of Test URL: the suggested URL is saved, tested, and the page shown again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client

from hooks.actions.endpoint_list import add_endpoint
from hooks.models import Endpoint, Hook, State
from instances.models import Instance
from tests.factories import member_of
from tests.instances.pages.log.test_fixes import form_of
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOME = "/instances/12345/"


def respond(request: Received) -> Answer:
    return (200, {}, b"") if request.path == "/hook/" else (301, {"Location": "/hook/"}, b"")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(respond) as receiver:
        yield receiver


def url_of(endpoint: Endpoint) -> str:
    return Endpoint.objects.get(pk=endpoint.pk).url


def apply(client: Client, shown: str) -> tuple[int, str, str]:
    """Submits the form of the button; returns the status, the target of the redirect, and the page there."""
    action = re.search(r'action="(/log/[^"]*/use-url/)"', shown)
    assert action
    done = client.post(action[1], form_of(shown, "use-url"))
    return done.status_code, done["Location"], client.get(done["Location"]).text


def test_a_url_that_is_not_saved_yet_is_replaced_and_tested(
    alice: Client, instance: Instance, receiver: Receiver
) -> None:
    before = url_of(instance.endpoint)
    current = {"HX-Current-URL": f"http://testserver{HOME}?from=test"}
    shown = alice.post(f"{HOME}address/test/", {"url": receiver.url}, headers=HTMX | current).text
    form = form_of(shown, "use-url")
    assert form == {"url": f"{receiver.url}/", "test": "on", "next": f"{HOME}?from=test"}
    assert f'<dd class="mono">{before}</dd>' in shown
    assert url_of(instance.endpoint) == before
    status, target, page = apply(alice, shown)
    assert (status, target) == (302, f"{HOME}?from=test")
    assert f"The webhook URL is now {receiver.url}/." in page
    assert "Test: Delivered: 127.0.0.1 responded with 200." in page
    assert url_of(instance.endpoint) == f"{receiver.url}/"
    assert [request.path for request in receiver.requests] == ["/hook", "/hook/"]
    assert Hook.objects.filter(simulated=True, state=State.DELIVERED).count() == 1


def test_the_url_of_a_second_endpoint_is_replaced(
    alice: Client, instance: Instance, receiver: Receiver
) -> None:
    crm = add_endpoint(instance.pk, url=receiver.url, name="CRM", acting_user=None)
    first = url_of(instance.endpoint)
    # without JavaScript the result is on the endpoint's page; its form must not be inside the form of the settings
    shown = alice.post(f"{HOME}endpoints/{crm.pk}/test/", {"url": receiver.url}).text
    settings = re.search(r'action="[^"]*/save/".*?</form>', shown, re.DOTALL)
    assert settings
    assert "use-url" not in settings[0]
    status, target, page = apply(alice, shown)
    assert (status, target) == (302, f"{HOME}endpoints/{crm.pk}/")
    assert "Test: Delivered" in page
    assert (url_of(crm), url_of(instance.endpoint)) == (f"{receiver.url}/", first)


def test_no_button_where_the_response_names_no_url_that_works(alice: Client, instance: Instance) -> None:
    with Receiver(
        [(301, {"Location": "/login?next=/hook"}, b""), (500, {}, b""), (200, {}, b"")]
    ) as receiver:
        for _ in range(3):
            shown = alice.post(f"{HOME}address/test/", {"url": receiver.url}, headers=HTMX).text
            assert "127.0.0.1 responded with" in shown
            assert "Use this URL" not in shown


def test_the_saved_url_is_not_suggested(alice: Client, instance: Instance, receiver: Receiver) -> None:
    Endpoint.objects.filter(pk=instance.endpoint.pk).update(url=f"{receiver.url}/")
    shown = alice.post(f"{HOME}address/test/", {"url": receiver.url}, headers=HTMX).text
    assert "responded with 301" in shown
    assert "Use this URL" not in shown


def test_only_what_the_test_suggested_is_saved(
    client: Client, alice: Client, bob: Client, instance: Instance, receiver: Receiver
) -> None:
    before = url_of(instance.endpoint)
    shown = alice.post(f"{HOME}address/test/", {"url": receiver.url}, headers=HTMX).text
    form = form_of(shown, "use-url")
    path = f"/log/{Hook.objects.get(simulated=True).public_id}/use-url/"
    refused = alice.post(path, form | {"url": "https://evil.example/"}, follow=True).text
    assert "was changed since this page was shown" in refused
    assert bob.post(path, form).status_code == 404
    client.force_login(member_of(instance.owner, "viewer"))
    assert client.post(path, form).status_code == 403
    Hook.objects.update(simulated=False)  # a real hook to another URL suggests nothing
    alice.post(path, form)
    assert url_of(instance.endpoint) == before
    assert len(receiver.requests) == 1


def test_a_new_url_that_fails_says_so(alice: Client, instance: Instance) -> None:
    with Receiver([(301, {"Location": "/hook/"}, b""), (500, {}, b"")]) as receiver:
        shown = alice.post(f"{HOME}address/test/", {"url": receiver.url}, headers=HTMX).text
        page = apply(alice, shown)[2]
        assert url_of(instance.endpoint) == f"{receiver.url}/"
    assert "Test: 127.0.0.1 responded with 500" in page
