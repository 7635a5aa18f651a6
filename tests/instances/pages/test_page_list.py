"""The list of instances: counts, search, sorting, groups by state, and paging."""

import html
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hooks.log.endpoint_numbers import numbers_of
from hooks.maintenance import issues
from hooks.models import Endpoint, Hook, Issue, IssueState, Kind, Outcome, PauseReason, State
from instances.actions.messages import receive_message
from instances.models import Instance
from instances.pages.instance_list import search
from instances.pages.overview.delivery_counts import bars_of
from tests.factories import InstanceFactory, UserFactory
from tests.hooks.attempted import attempt_hook
from tests.matching import find_value

pytestmark = pytest.mark.django_db


def names(client, **query):
    """The instances of the page in their order."""
    return [card.instance.name for card in client.get("/instances/", query).context["cards"]]


@pytest.fixture
def many(instance: Instance) -> list[Instance]:
    """Alice's instances: one not paid, one waiting for the scan, two linked, of which the fixture has no name."""
    make = {"owner": instance.owner}
    return [
        InstanceFactory(name="Bakery", number=500, phone="15550002222", paid=False, **make),
        InstanceFactory(
            name="abbey", number=400, account_status="got qr code", phone="4915112345678", **make
        ),
        InstanceFactory(
            name="Cinema", number=300, phone="15550003333", url="https://tickets.example.com/in", **make
        ),
    ]


def test_the_front_door_leads_people_to_their_instances_and_strangers_to_the_sign_in(alice):
    assert alice.get("/").url == "/instances/"
    assert Client().get("/").headers["Location"] == "/accounts/login/"


def test_the_list_shows_each_instance_with_its_counts(alice, instance):
    receive_message(instance, sender="17680561234", body="hello")
    answer = alice.get("/instances/")
    page = answer.content.decode()
    assert "12345" in page
    assert "https://example.com/hook" in page
    [card] = answer.context["cards"]
    assert card.instance == instance
    waiting = (card.counts.waiting, card.counts.sent, card.counts.delivered)
    assert waiting == (2, 0, 0)  # the message, and its new chat
    assert "No hooks were sent in the last hour" in page


def test_the_chart_has_a_bar_for_every_five_minutes(alice, instance):
    now = timezone.now()
    for minutes, state in (
        (1, State.DELIVERED),
        (1, State.DELIVERED),
        (1, State.FAILED),
        (31, State.DELIVERED),
    ):
        at = now - timedelta(minutes=minutes)
        Hook.objects.create(
            endpoint=instance.endpoint,
            kind=Kind.ACK,
            body=b"{}",
            state=state,
            last_outcome=Outcome.OK if state == State.DELIVERED else Outcome.NOT_200,
            last_status=200 if state == State.DELIVERED else 500,
            created_at=at,
            finished_at=at,
        )
    counts = numbers_of([instance.pk])[instance.pk]
    bars = bars_of(counts)
    assert len(bars) == 12
    assert (counts.sent, counts.delivered, counts.percent) == (4, 3, "75")
    assert [sum(part) for part in zip(*counts.parts[:8], strict=True)] == [1, 1]
    assert [sum(part) for part in zip(*counts.parts[8:], strict=True)] == [3, 2]
    assert [bool(bar.missing) for bar in bars].count(True) == 1
    page = alice.get("/instances/").content.decode()
    assert "75 % delivered" in page
    assert "3 of 4 sent, last hour" in page


def test_the_search_finds_names_numbers_phones_and_addresses(alice, many):
    assert names(alice, q="bak") == ["Bakery"]
    assert names(alice, q="400") == ["abbey"]
    assert names(alice, q="+4915112345678") == ["abbey"]
    assert names(alice, q="tickets.example") == ["Cinema"]
    assert names(alice, q="cin tickets") == ["Cinema"]
    assert names(alice, q="cin bak") == []
    assert "No matching instances" in alice.get("/instances/", {"q": "nobody"}).content.decode()


def test_a_state_without_instances_says_so(alice, instance):
    page = alice.get("/instances/", {"state": "failing"}).content.decode()
    assert "No instance is in this state." in page
    assert "The search covers" not in page
    page = alice.get("/instances/", {"state": "failing", "q": "bob"}).content.decode()
    assert "The search covers name" in page


def test_the_list_is_sorted_as_asked(alice, many):
    assert names(alice) == ["Bakery", "abbey", "Cinema", ""]  # trouble first
    assert names(alice, sort="made") == ["Cinema", "abbey", "Bakery", ""]
    assert names(alice, sort="name") == ["", "abbey", "Bakery", "Cinema"]
    assert names(alice, sort="number") == ["Cinema", "abbey", "Bakery", ""]
    assert names(alice, sort="paid")[0] == "Bakery"
    assert names(alice, sort="nonsense") == names(alice)


def test_groups_stand_in_the_order_in_which_they_want_attention(alice, many):
    answer = alice.get("/instances/", {"group": "state", "sort": "name"})
    shown = [(card.begins, card.instance.name) for card in answer.context["cards"]]
    assert shown == [
        ("Not paid", "Bakery"),
        ("Waiting for the scan", "abbey"),
        ("Authenticated", ""),
        ("", "Cinema"),
    ]


def test_a_state_can_be_chosen_and_all_are_counted(alice, many):
    answer = alice.get("/instances/", {"state": "not_paid"})
    assert [card.instance.name for card in answer.context["cards"]] == ["Bakery"]
    counts = {group.key: count for group, count in [*answer.context["tabs"], *answer.context["counts"]]}
    assert counts == {"failing": 0, "hooks": None, "not_linked": 1, "not_paid": 1, "authenticated": 2}
    assert answer.context["total"] == 4


@pytest.mark.parametrize(
    "query", [{}, {"sort": "name"}, {"group": "state"}, {"group": "state", "sort": "paid"}]
)
def test_more_goes_on_behind_the_last_and_loses_nobody(alice, many, monkeypatch, query):
    whole = names(alice, **query)
    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    first = alice.get("/instances/", query)
    after = find_value(r'rel="next" href="\?[^"]*after=(\d+)', first.content.decode())
    rest = names(alice, **query, after=after)
    assert [card.instance.name for card in first.context["cards"]] + rest == whole
    assert len(rest) == 2


@pytest.mark.parametrize(
    "query",
    [{"after": "9" * 5000}, {"after": "0"}, {"after": "\u0967"}, {"q": "\0"}, {"state": "x", "sort": "\0"}],
)
def test_what_the_address_cannot_mean_counts_as_left_out(alice, query):
    answer = alice.get("/instances/", query)
    assert answer.status_code == 200
    assert len(answer.context["cards"]) == 1


def test_the_list_asks_the_same_number_of_queries_for_one_instance_and_for_many(
    alice, many, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        alice.get("/instances/", {"q": "e", "group": "state"})


def test_without_an_instance_the_list_shows_the_way_to_the_first(bob):
    page = bob.get("/instances/").content.decode()
    assert "No instances yet" in page
    assert "/instances/new/" in page


def test_nobody_finds_what_is_somebody_elses(bob, many):
    InstanceFactory(owner=UserFactory().account, name="Bakery")
    assert names(bob, q="Bakery") == []


def test_an_instance_whose_hooks_fail_is_first_and_never_just_green(alice, many):
    failing = Instance.objects.get(name="")  # the oldest, and paid and linked as Cinema
    receive_message(failing, sender="17680561234", body="hello")
    Endpoint.objects.filter(pk=failing.endpoint.pk).update(failing_since=timezone.now() - timedelta(hours=1))
    assert names(alice)[0] == ""
    assert names(alice, state="failing") == [""]
    assert names(alice, state="not_linked") == ["abbey"]
    assert names(alice, state="hooks") == [""]
    assert "Webhook failing" in alice.get("/instances/").text
    for page in (failing.get_absolute_url(), f"/log/?instance={failing.number}"):
        assert "Webhook failing" in alice.get(page).text
    endpoint = Endpoint.objects.filter(pk=failing.endpoint.pk)
    endpoint.update(paused_at=timezone.now(), pause_reason=PauseReason.FAILING)
    assert names(alice, state="failing") == [""]  # still the first, after 24 hours too
    assert names(alice)[0] == ""
    endpoint.update(pause_reason=PauseReason.BY_HAND)
    assert names(alice, state="failing") == []
    endpoint.update(paused_at=None, pause_reason="")
    Instance.objects.filter(pk=failing.pk).update(stopped_at=timezone.now())
    assert names(alice, state="failing") == []


def test_a_user_with_many_instances_sees_a_table_with_the_last_error(alice, many, instance):
    for number in range(5):
        assert "<table" not in alice.get("/instances/").text
        InstanceFactory(owner=instance.owner, name=f"Shop {number}")
    issues.update()  # the first run reads no older attempts
    attempt_hook(instance.endpoint, 500)
    issues.update()
    page = alice.get("/instances/")
    assert "<table" in page.text
    [error] = [card.error for card in page.context["cards"] if card.error]
    assert error.sentence in html.unescape(page.text)
    assert "<table" in alice.get("/instances/", {"q": "Shop 3"}).text


def test_a_failing_instance_leads_to_its_issue(alice, many, instance):
    issues.update()
    attempt_hook(instance.endpoint, 500)
    issues.update()
    [issue] = Issue.objects.all()
    link = f'<a class="issue-link" href="/issues/{issue.public_id}/">'
    assert alice.get("/instances/").text.count(link) == 1
    assert alice.get(f"/issues/{issue.public_id}/").status_code == 200
    for number in range(5):  # as a table
        InstanceFactory(owner=instance.owner, name=f"Shop {number}")
    page = alice.get("/instances/").text
    assert "<table" in page
    assert page.count(link) == 1
    Issue.objects.update(state=IssueState.RESOLVED, resolved_at=timezone.now())
    assert "issue-link" not in alice.get("/instances/").text


def test_name_matches_come_first(alice, many, instance):
    InstanceFactory(owner=instance.owner, name="", number=777, url="https://cinema.example/hook")
    assert names(alice, q="cinema") == ["Cinema", ""]
    assert names(alice, q="cinema", sort="made") == ["Cinema", ""]
