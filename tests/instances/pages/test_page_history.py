"""The history of an instance's status: durations, flapping in one line, page by page, and what is new."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import Instance, StatusChange
from instances.pages.history import status_history
from tests.matching import find_value

pytestmark = pytest.mark.django_db
PAGE = "/instances/12345/history/"


@pytest.fixture(autouse=True)
def kept(instance: Instance) -> None:
    change_settings(instance, changes={"instanceStatuses": True})


def change(instance, minutes, status="authenticated", substatus="normal"):
    """Written as it was so many minutes ago."""
    at = timezone.now() - timedelta(minutes=minutes)
    return StatusChange.objects.create(instance=instance, account_status=status, substatus=substatus, at=at)


def lines(client, **query):
    history = client.get(PAGE, query).context["history"]
    return [line.words if line.is_flapping else (line.first.word, line.duration) for line in history.lines]


def test_each_status_has_the_time_that_it_lasted(alice, instance):
    change(instance, 60, "got qr code")
    change(instance, 59, "loading")
    change(instance, 30)
    assert lines(alice) == [
        ("Authenticated", "30 min"),
        ("Loading", "29 min"),
        ("Waiting for the scan", "1 min"),
    ]


def test_flapping_is_one_line_that_hides_the_changes(alice, instance):
    change(instance, 60, "got qr code")
    for place in range(14):
        change(instance, 20 - place * 9 / 13, substatus=("phone", "normal")[place % 2])
    assert lines(alice) == ["changed 14 times in 10 min", ("Waiting for the scan", "40 min")]
    assert alice.get(PAGE).content.decode().count("the phone is not connected") == 7


def test_five_changes_within_ten_minutes_are_five_lines(alice, instance):
    for minutes in range(5):
        change(instance, minutes)
    assert len(lines(alice)) == 5


def test_one_status_can_be_chosen_and_keeps_its_durations(alice, instance):
    change(instance, 60, "got qr code")
    change(instance, 40)
    change(instance, 10, "got qr code")
    assert lines(alice, status="got qr code") == [
        ("Waiting for the scan", "10 min"),
        ("Waiting for the scan", "20 min"),
    ]
    assert len(lines(alice, status="nonsense")) == 3


def test_older_goes_on_behind_the_last_line(alice, instance, monkeypatch):
    for hours in (1, 2, 3):
        change(instance, hours * 60)
    monkeypatch.setattr(status_history, "PAGE_SIZE", 2)
    page = alice.get(PAGE).content.decode()
    before = find_value(r'rel="next"\s+href="\?before=(\d+)"', page)
    assert lines(alice, before=before) == [("Authenticated", "1 h")]


def test_what_is_new_is_counted_and_not_pushed_in(alice, instance):
    newest = change(instance, 5).pk
    news = f"{PAGE}news/"
    assert alice.get(news, {"seen": newest, "shown_count": 0}).status_code == 204
    change_status(instance, substatus="phone")
    change_status(instance, substatus="normal")
    answer = alice.get(news, {"seen": newest, "shown_count": 0})
    assert "2 new changes, show" in answer.content.decode()
    assert alice.get(news, {"seen": newest, "shown_count": 2}).status_code == 204


def test_a_history_that_is_not_kept_says_so_and_can_be_switched_on(alice, instance):
    change_settings(instance, changes={"instanceStatuses": False})
    page = alice.get(PAGE).content.decode()
    assert "The history is not recorded:" in page
    form = page[page.index("history-disabled") : page.index("Record history")]
    data = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))
    data.pop("csrfmiddlewaretoken", None)
    assert alice.post("/instances/12345/settings/", data).url == PAGE
    assert Instance.objects.get(pk=instance.pk).instance_statuses is True


@pytest.mark.parametrize("query", [{"before": "9" * 30}, {"before": "\u0967"}, {"before": "-1"}])
def test_a_page_that_cannot_be_is_the_first(alice, instance, query):
    change(instance, 1)
    assert len(lines(alice, **query)) == 1


def test_a_stranger_finds_no_history(bob):
    assert bob.get(PAGE).status_code == 404
    assert bob.get(f"{PAGE}news/").status_code == 404


def test_the_page_asks_the_same_number_of_queries_for_many_changes(
    alice, instance, django_assert_max_num_queries
):
    for minutes in range(50):
        change(instance, minutes)
    with django_assert_max_num_queries(14):  # four are the first steps
        alice.get(PAGE)
