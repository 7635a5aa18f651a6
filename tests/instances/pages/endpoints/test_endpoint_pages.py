"""The pages of an instance's endpoints: the cards, one endpoint, its filters, its buttons."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.models import AuditEntry
from hooks.actions.endpoint_list import add_endpoint
from hooks.actions.endpoints import pause, set_filters
from hooks.filters import Filters
from hooks.models import MAX_ENDPOINTS, Endpoint, Hook, State
from instances.actions.messages import receive_message
from instances.actions.stopping import stop_instance
from instances.models import Instance
from tests.factories import member_of
from tests.receiver import Receiver
from tests.sessions import forget_password, remember_password

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
LIST = "/instances/12345/endpoints/"
NO_FILTERS = {"families": [], "direction": "", "message_types": [], "chat_kinds": "", "chat_ids": ""}


@pytest.fixture
def crm(instance: Instance) -> Endpoint:
    """A second endpoint of alice's instance."""
    return add_endpoint(instance.pk, url="https://crm.example.com/hook", name="CRM", acting_user=None)


@pytest.fixture
def vera(instance: Instance) -> Client:
    """A client signed in as a viewer of alice's account."""
    client = Client()
    client.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    return client


def page(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def of(endpoint, action=""):
    return f"{LIST}{endpoint.pk}/{action}"


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def actions_of(instance):
    return list(AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[:3])


def test_an_instance_with_one_endpoint_has_a_quiet_link_to_add_another(alice):
    overview = page(alice, "/instances/12345/")
    assert f'href="{LIST}#add"' in overview
    assert "Open all endpoints" not in overview


def test_an_endpoint_is_added_and_its_page_is_shown(alice, instance):
    response = alice.post(LIST, {"url": " HTTPS://CRM.example.com/hook ", "name": "CRM"})
    added = Endpoint.objects.get(instance=instance, first_of=None)
    assert response["Location"] == of(added)
    assert (added.url, added.name) == ("https://crm.example.com/hook", "CRM")
    assert "It gets all events until you choose its filters below." in page(alice, of(added))
    assert "endpoint.added" in actions_of(instance)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("htp://crm", "The URL must start with http:// or https://."),
        ("", "Enter the URL where your server receives hooks."),
    ],
)
def test_a_wrong_url_adds_nothing(alice, instance, url, sentence):
    response = alice.post(LIST, {"url": url, "name": "CRM"})
    assert sentence in response.content.decode()
    assert 'value="CRM"' in response.content.decode()
    assert instance.endpoints.count() == 1


def test_the_page_says_that_there_are_as_many_endpoints_as_there_can_be(alice, instance):
    for place in range(2, MAX_ENDPOINTS + 1):
        add_endpoint(instance.pk, url=f"https://example.com/{place}", acting_user=None)
    shown = words(page(alice, LIST))
    assert "10 of 10" in shown
    assert (
        "This instance has 10 endpoints, which is the most it can have. Remove one to add another." in shown
    )
    response = alice.post(LIST, {"url": "https://example.com/11"})
    assert response.status_code == 200
    assert instance.endpoints.count() == MAX_ENDPOINTS


def test_a_card_shows_what_an_endpoint_gets_and_how_it_is(alice, instance, crm):
    set_filters(crm, filters=Filters(families=("message", "ack"), direction="in"), acting_user=None)
    receive_message(instance, sender="17680561234", body="hello")
    shown = words(page(alice, LIST))
    assert "CRM Active https://crm.example.com/hook" in shown
    assert "Messages and acks, incoming only" in shown
    assert "One attempt, in order" in shown
    assert "1 hook waiting now" in shown
    assert "example.com Active https://example.com/hook" in shown


def test_states_are_named_the_most_important_first(alice, instance, crm):
    assert words(page(alice, of(crm))).count("Active") == 1
    Endpoint.objects.filter(pk=crm.pk).update(failing_since=timezone.now() - timedelta(minutes=2))
    assert "CRM Last attempt failed" in words(page(alice, of(crm)))
    Endpoint.objects.filter(pk=crm.pk).update(failing_since=timezone.now() - timedelta(minutes=20))
    shown = words(page(alice, of(crm)))
    assert "CRM Failing" in shown
    assert "All deliveries have failed for 20 min" in shown
    pause(crm, acting_user=None)
    assert "CRM Paused" in words(page(alice, of(crm)))
    stop_instance(instance, reason="manually", acting_user=None)
    shown = words(page(alice, of(crm)))
    assert "CRM Stopped" in shown
    assert "Resume" not in shown


def test_endpoints_without_a_name_have_their_host_or_their_place(alice, instance):
    add_endpoint(instance.pk, url="https://example.com/other", acting_user=None)
    shown = words(page(alice, LIST))
    assert "example.com (1) Active" in shown
    assert "example.com (2) Active" in shown


def test_the_overview_lists_several_endpoints(alice, instance, crm):
    pause(crm, acting_user=None)
    set_filters(instance.endpoint, filters=Filters(families=("message",)), acting_user=None)
    shown = words(page(alice, "/instances/12345/"))
    assert "2 endpoints" in shown
    assert "CRM All events Paused" in shown
    assert "Only some events are sent there: Messages." in shown
    assert "Add another endpoint" not in shown


def test_settings_are_saved(alice, crm):
    card = alice.post(
        of(crm, "save/"),
        {"name": "Sales", "url": "https://sales.example.com/in", "guaranteed": "on", "order": "parallel"},
        headers=HTMX,
    ).content.decode()
    assert "Saved." in card
    crm.refresh_from_db()
    assert (crm.name, crm.url) == ("Sales", "https://sales.example.com/in")
    assert (crm.guaranteed, crm.parallel, crm.strict) == (True, True, False)
    assert "Up to 20 attempts, in parallel" in words(page(alice, LIST))
    alice.post(of(crm, "save/"), {"url": crm.url, "order": "strict"})
    crm.refresh_from_db()
    assert (crm.name, crm.guaranteed, crm.parallel, crm.strict) == ("", False, False, True)
    assert "One attempt, in strict order" in words(page(alice, LIST))
    assert "stops them for up to 65 h: until it is delivered" in words(page(alice, of(crm)))


def test_settings_are_saved_without_javascript(alice, crm):
    response = alice.post(of(crm, "save/"), {"name": "Sales", "url": crm.url, "order": "order"})
    assert response["Location"] == of(crm)
    crm.refresh_from_db()
    assert crm.name == "Sales"


def test_wrong_settings_change_nothing(alice, crm):
    for headers in ({}, HTMX):
        response = alice.post(
            of(crm, "save/"), {"name": "Sales", "url": "htp://", "order": "order"}, headers=headers
        )
        shown = response.content.decode()
        assert "The URL must start with http:// or https://." in shown
        assert "Nothing was changed." in shown
    crm.refresh_from_db()
    assert crm.name == "CRM"


def test_the_first_endpoint_is_the_webhook_url(alice, instance):
    alice.post(of(instance.endpoint, "save/"), {"url": "https://new.example.com/in", "order": "order"})
    assert "https://new.example.com/in" in page(alice, "/instances/12345/")


def test_filters_are_saved_and_described(alice, instance, crm):
    chosen = {"families": ["message"], "direction": "in", "chat_ids": "17680561234\n17680561235@c.us"}
    card = alice.post(of(crm, "filters/"), NO_FILTERS | chosen, headers=HTMX).content.decode()
    assert "Saved." in card
    assert "Messages, incoming only, from 2 chats" in card
    crm.refresh_from_db()
    assert crm.families == ["message"]
    assert crm.chat_ids == ["17680561234@c.us", "17680561235@c.us"]
    receive_message(instance, sender="17680561234", body="matches")
    receive_message(instance, sender="17680569999", body="does not match")
    assert Hook.objects.filter(endpoint=crm).count() == 1
    card = alice.post(of(crm, "filters/"), NO_FILTERS | chosen, headers=HTMX).content.decode()
    assert "Nothing to save" in card


def test_wrong_filters_change_nothing(alice, crm):
    for headers in ({}, HTMX):
        response = alice.post(of(crm, "filters/"), NO_FILTERS | {"chat_ids": "Ann"}, headers=headers)
        shown = response.content.decode()
        assert "Line 1: “Ann” is not a chat id." in shown
        assert "Nothing was changed." in shown
    crm.refresh_from_db()
    assert crm.chat_ids == []


def test_filters_are_described_while_they_are_chosen(alice, crm):
    def described(**chosen):
        response = alice.post(of(crm, "filters/check/"), NO_FILTERS | chosen, headers=HTMX)
        return words(response.content.decode())

    assert described() == "All events"
    assert described(families=["ack"]) == "Acks Not saved yet."
    assert described(chat_ids="Ann") == "Line 1: “Ann” is not a chat id."
    crm.refresh_from_db()
    assert crm.families == []


def test_a_test_is_signed_with_the_endpoints_own_secret(alice, instance, crm):
    with Receiver() as receiver:
        Endpoint.objects.filter(pk=crm.pk).update(url=receiver.url)
        shown = alice.post(of(crm, "test/"), headers=HTMX).content.decode()
        assert "127.0.0.1 responded with 200" in shown
        assert f'id="endpoint-test-{crm.pk}"' in shown
        [request] = receiver.wait_for(1)
    Webhook(crm.secret).verify(request.body.decode(), request.headers)
    assert crm.secret != instance.endpoint.secret
    assert Hook.objects.get(simulated=True).endpoint_id == crm.pk


def test_a_test_without_javascript_is_shown_on_the_endpoints_page(alice, crm):
    with Receiver() as receiver:
        shown = alice.post(of(crm, "test/"), {"url": receiver.url}).content.decode()
    assert "127.0.0.1 responded with 200" in shown
    assert "Filters" in shown
    crm.refresh_from_db()
    assert crm.url == "https://crm.example.com/hook"


def test_one_endpoint_is_paused_and_resumed_alone(alice, instance, crm):
    response = alice.post(of(crm, "pause/"), {"next": LIST})
    assert response["Location"] == LIST
    crm.refresh_from_db()
    instance.endpoint.refresh_from_db()
    assert crm.paused_at
    assert not instance.endpoint.paused_at
    assert "delivery.paused" in actions_of(instance)
    assert "A member of the account paused it" in page(alice, of(crm))
    assert alice.post(of(crm, "resume/"))["Location"] == of(crm)
    crm.refresh_from_db()
    assert not crm.paused_at
    assert "delivery.resumed" in actions_of(instance)


def test_the_secret_is_rotated_after_the_password(alice, instance, crm):
    old, first = crm.secret, instance.endpoint.secret
    forget_password(alice)
    assert "/reauthenticate/" in alice.post(of(crm, "secret/"))["Location"]
    remember_password(alice, instance.owner.owner)
    card = alice.post(of(crm, "secret/"), headers=HTMX).content.decode()
    assert "The new secret is valid now." in card
    crm.refresh_from_db()
    assert crm.valid_secrets() == [crm.secret, old]
    assert crm.secret in card
    assert (
        "The old secret is no longer valid."
        in alice.post(of(crm, "secret/end/"), headers=HTMX).content.decode()
    )
    crm.refresh_from_db()
    assert crm.valid_secrets() == [crm.secret]
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.secret == first


def test_removing_an_endpoint_says_what_happens_and_cancels_its_hooks(alice, instance, crm):
    receive_message(instance, sender="17680561234", body="hello")
    shown = words(page(alice, of(crm)))
    assert "Its 2 waiting hooks are cancelled and not sent. Its hooks stay in the log" in shown
    response = alice.post(of(crm, "remove/"))
    assert response["Location"] == LIST
    assert "Endpoint CRM was removed, and its waiting hooks are cancelled." in page(alice, LIST)
    for endpoint, state in ((crm, State.CANCELLED), (instance.endpoint, State.QUEUED)):
        assert {hook.state for hook in Hook.objects.filter(endpoint=endpoint)} == {state}
    assert alice.get(of(crm)).status_code == 404
    assert "endpoint.removed" in actions_of(instance)


def test_the_first_endpoint_is_not_removed(alice, instance):
    assert "Remove endpoint" not in page(alice, of(instance.endpoint))
    alice.post(of(instance.endpoint, "remove/"))
    assert "can&#x27;t be removed" in page(alice, of(instance.endpoint))
    assert instance.endpoints.present().count() == 1


BUTTONS = (
    "save/",
    "filters/",
    "filters/check/",
    "test/",
    "pause/",
    "resume/",
    "secret/",
    "secret/end/",
    "remove/",
)


def test_strangers_get_404(bob, crm):
    assert bob.get(LIST).status_code == 404
    assert bob.post(LIST, {"url": "https://example.com"}).status_code == 404
    assert bob.get(of(crm)).status_code == 404
    assert {bob.post(of(crm, button)).status_code for button in BUTTONS[:6]} == {404}


def test_the_endpoint_of_another_instance_is_not_found(alice, instance, crm):
    from tests.factories import InstanceFactory

    other = InstanceFactory(owner=instance.owner, number=54321)
    assert alice.get(f"/instances/54321/endpoints/{crm.pk}/").status_code == 404
    assert alice.get(of(other.endpoint)).status_code == 404
    assert alice.get(f"{LIST}{2**70}/").status_code == 404


def test_viewers_see_no_buttons_and_change_nothing(vera, crm):
    main = page(vera, LIST).partition("<main")[2]
    for word in ("Test", "Pause", "Edit", crm.secret):
        assert f">{word}<" not in re.sub(r"<svg.*?</svg>", "", main).replace(" ", "")
    shown = page(vera, of(crm))
    assert crm.secret not in shown
    for word in ("Save changes", "Save filters", "Remove endpoint", "Rotate secret"):
        assert word not in shown
    assert {vera.post(of(crm, button)).status_code for button in BUTTONS} == {403}
    assert vera.post(LIST, {"url": "https://example.com"}).status_code == 403
