"""Words in the body and exact times as filters of the log, and what a job makes of them."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Hook, Kind, Redelivery, State, new_public_id
from instances.models import Instance
from instances.pages.log import text_search
from tests.factories import AccountFactory, InstanceFactory, create_hook

pytestmark = pytest.mark.django_db
NOW: datetime  # a full minute


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Sets NOW when the test begins: modules are imported when the run begins, which may be an hour earlier."""
    global NOW
    NOW = timezone.now().replace(second=0, microsecond=0)


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"), number=12345, url="http://x.example/"
    )


def make(instance: Instance, body: str = "{}", at: datetime | None = None, kind=Kind.MESSAGE) -> Hook:
    at = at or NOW
    return create_hook(
        public_id=new_public_id(at), endpoint=instance.endpoint, kind=kind, body=body.encode(),
        state=State.DELIVERED, created_at=at, finished_at=at,
    )  # fmt: skip


def listed(client: Client, **query: str) -> list[Hook]:
    return list(client.get("/log/", {"instance": "12345", **query}).context["rows"])


def test_words_are_found_in_the_body_letter_by_letter(alice, instance):
    hello = make(instance, '{"body":"hello, Zoë"}')
    quoted = make(instance, r'{"body":"say \"hi\" on\nthe way"}')
    make(instance, '{"body":"bye"}')
    assert listed(alice, text="hello") == [hello]
    assert listed(alice, text="Zoë") == [hello]
    assert listed(alice, text='say "hi"') == [quoted]
    assert listed(alice, text='"body":"say') == [quoted]
    assert listed(alice, text="Hello") == []
    assert listed(alice, text="100%") == []


def test_bytes_that_are_no_text_are_searched_too(alice, instance):
    hook = make(instance)
    Hook.objects.update(body=b"\xff\xfehello")
    assert listed(alice, text="hello") == [hook]


def test_the_search_ends_after_so_many_of_the_hooks_that_fit_the_other_filters(alice, instance, monkeypatch):
    monkeypatch.setattr(text_search, "SEARCHED_MAX", 2)
    old = make(instance, "needle", kind=Kind.ACK)
    make(instance)
    new = make(instance, "needle")
    assert listed(alice, text="needle") == [new]
    assert listed(alice, text="needle", kind="ack") == [old]
    page = alice.get("/log/?instance=12345&text=needle").content.decode()
    assert "in the newest 5,000 hooks that" in page


def test_the_counts_and_the_new_ones_obey_the_text(alice, instance):
    make(instance)
    context = alice.get("/log/?instance=12345&text=needle").context
    assert context["total"] == 0
    make(instance, "needle")
    make(instance)
    query = {"instance": 12345, "text": "needle", "after": 0, "said": 0}
    assert "1 new, show" in alice.get("/log/live/", query).content.decode()


def test_a_job_takes_no_text_rather_than_all_hooks(alice, instance):
    make(instance)
    assert "/log/redeliver/?" not in alice.get("/log/?instance=12345&text=a").content.decode()
    page = alice.get("/log/redeliver/?instance=12345&text=a").content.decode()
    assert "Ignored invalid filters: text." in page
    assert "Resend 0 hooks" not in page
    assert 'class="btn btn-primary"' not in page.partition("<main")[2].partition("</main>")[0]
    alice.post("/log/redeliver/?instance=12345", {"text": "a"})
    assert not Redelivery.objects.exists()


def test_exact_times_include_the_first_and_not_the_second(alice, instance):
    hours = [NOW - timedelta(hours=ago) for ago in (3, 2, 1)]
    three, two, one = (make(instance, at=at) for at in hours)
    begin, middle, end = (f"{at:%Y-%m-%dT%H:%M}" for at in hours)
    assert listed(alice, **{"from": begin, "to": end}) == [two, three]
    assert listed(alice, **{"from": middle}) == [one, two]
    assert listed(alice, to=f"{middle}:00+00:00") == [three]
    assert listed(alice, **{"from": f"{middle}+01:00"}) == [one, two, three]
    context = alice.get("/log/", {"instance": 12345, "from": begin, "to": "soon"}).context
    assert context["filters"].ignored == ["to"]
    assert context["typed"] == {"from": begin, "to": ""}


def test_a_job_keeps_exact_times(alice, instance):
    make(instance, at=NOW - timedelta(hours=3))
    make(instance, at=NOW - timedelta(hours=1))
    begin = NOW - timedelta(hours=2)
    page = alice.get("/log/redeliver/", {"instance": 12345, "from": f"{begin:%Y-%m-%dT%H:%M}"})
    assert page.context["preview"].ready == 1
    alice.post("/log/redeliver/?instance=12345", {"from": page.context["since"]})
    assert Redelivery.objects.get().filter == {"created_after": begin.isoformat()}
