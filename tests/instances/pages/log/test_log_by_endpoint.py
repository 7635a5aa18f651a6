"""The delivery log of an instance with several endpoints."""

import re

import pytest

from hooks.actions.endpoint_list import add_endpoint, remove_endpoint
from hooks.actions.endpoints import pause, set_filters
from hooks.filters import Filters
from hooks.models import Endpoint, Hook, Redelivery, State
from instances.actions.messages import receive_message
from instances.models import Instance

pytestmark = pytest.mark.django_db
LOG = "/log/?instance=12345"


@pytest.fixture
def crm(instance: Instance) -> Endpoint:
    """A second endpoint, which gets incoming messages of one chat."""
    crm = add_endpoint(instance.pk, url="https://crm.example.com/hook", name="CRM", acting_user=None)
    set_filters(crm, filters=Filters(families=("message",), chat_ids=("17680561234@c.us",)), acting_user=None)
    return crm


@pytest.fixture
def two_messages(instance: Instance, crm: Endpoint) -> None:
    """One matches the second endpoint's filters, one does not."""
    receive_message(instance, sender="17680561234", body="matches")
    receive_message(instance, sender="17680569999", body="does not match")


def words(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def rows(client, query=""):
    found = client.get(f"{LOG}{query}").content.decode()
    return re.findall(r'<tr class="hook-row" id="hook-([0-9a-f]{32})"', found)


def test_an_instance_with_one_endpoint_has_no_filter_for_it(alice, instance):
    receive_message(instance, sender="17680561234", body="hello")
    assert "Any endpoint" not in alice.get(LOG).content.decode()


def test_the_log_shows_all_endpoints_and_names_them(alice, instance, two_messages):
    shown = alice.get(LOG)
    hooks = Hook.objects.order_by("-pk")
    assert rows(alice) == [hook.public_id.hex for hook in hooks]
    text = words(shown)
    assert "Any endpoint" in text
    assert text.count("not tried yet CRM") == 1
    assert text.count("not tried yet example.com") == hooks.count() - 1


def test_the_log_of_one_endpoint(alice, instance, crm, two_messages):
    [hook] = Hook.objects.filter(endpoint=crm)
    assert rows(alice, f"&endpoint={crm.pk}") == [hook.public_id.hex]
    text = words(alice.get(f"{LOG}&endpoint={crm.pk}"))
    assert "Queued 1" in text
    overview = words(alice.get(f"/log/overview/?instance=12345&endpoint={crm.pk}"))
    assert "CRM without simulations" in overview
    assert "Waiting 1 " in overview
    everything = words(alice.get("/log/overview/?instance=12345"))
    assert "All endpoints without simulations" in everything
    assert f"Waiting {Hook.objects.filter(state=State.QUEUED).count()} " in everything


def test_another_instances_endpoint_is_an_invalid_filter(alice, instance, two_messages):
    text = words(alice.get(f"{LOG}&endpoint=1{instance.pk}"))
    assert "Ignored invalid filters: endpoint." in text


def test_the_page_of_a_hook_names_its_endpoint(alice, instance, crm, two_messages):
    [hook] = Hook.objects.filter(endpoint=crm)
    shown = alice.get(f"/log/{hook.public_id}/").content.decode()
    assert f'<a href="/instances/12345/endpoints/{crm.pk}/">CRM</a>' in shown
    pause(crm, acting_user=None)
    assert "Delivery to CRM is paused." in words(alice.get(f"/log/{hook.public_id}/"))
    first = Hook.objects.filter(endpoint_id=instance.pk)[0]
    assert "is paused" not in words(alice.get(f"/log/{first.public_id}/"))


def test_a_removed_endpoint_stays_in_the_log(alice, instance, crm, two_messages):
    remove_endpoint(crm, acting_user=None)
    text = words(alice.get(LOG))
    assert "CRM (removed)" in text
    [hook] = Hook.objects.filter(endpoint=crm)
    assert rows(alice, f"&endpoint={crm.pk}") == [hook.public_id.hex]
    shown = alice.get(f"/log/{hook.public_id}/").content.decode()
    assert "CRM (removed)" in shown
    assert f"/endpoints/{crm.pk}/" not in shown


def test_paused_endpoints_are_named_above_the_log(alice, instance, crm, two_messages):
    pause(crm, acting_user=None)
    assert "Delivery to CRM is paused." in words(alice.get(LOG))
    assert "is paused" not in words(alice.get(f"{LOG}&endpoint={instance.pk}"))


def test_a_redelivery_is_limited_to_an_endpoint(alice, instance, crm, two_messages):
    Hook.objects.filter(state=State.QUEUED).update(state=State.FAILED, finished_at="2026-11-01T00:00Z")
    form = alice.get(f"/log/redeliver/?instance=12345&endpoint={crm.pk}")
    text = words(form)
    assert "Matching hooks: endpoint CRM." in text
    assert "1 hook will be resent" in text
    assert f'<option value="{crm.pk}" selected>CRM</option>' in form.content.decode()
    alice.post("/log/redeliver/?instance=12345", {"endpoint": crm.pk})
    job = Redelivery.objects.get()
    assert job.planned == 1
    assert "endpoint CRM" in words(alice.get(f"/log/redeliveries/{job.public_id}/"))


def test_the_export_of_one_endpoint(alice, instance, crm, two_messages):
    def lines(query):
        response = alice.get(f"/log/export/?instance=12345&as=ndjson{query}")
        return b"".join(response.streaming_content).decode().splitlines()

    assert len(lines(f"&endpoint={crm.pk}")) == 1
    assert len(lines("")) == Hook.objects.count()
