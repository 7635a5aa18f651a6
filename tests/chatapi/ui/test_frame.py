"""The frame of the pages: the instance they are about, the running verification, the policy of the browser."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Engine
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chatapi.ui.templatetags import ui
from hooks.actions import redelivery
from hooks.models import Endpoint, Hook, State
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from instances.models import Instance
from testing_tools.verification.models import Bin
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(client: Client) -> tuple[Instance, Instance]:
    """alice's two instances; alice is signed in."""
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    return InstanceFactory(owner=alice, name="First"), InstanceFactory(owner=alice, name="Second")


def chosen(client: Client, address: str = "/account/") -> str:
    """The name in the chooser of the page at `address`."""
    page = client.get(address).content.decode()
    (name,) = re.findall(r'Instance:</span> <span class="chooser-name">(.+?)</span>', page)
    return name


def test_the_first_instance_is_chosen_to_begin_with(client: Client, two: tuple[Instance, Instance]) -> None:
    assert chosen(client) == "First"


def test_a_choice_in_the_address_is_kept_for_the_pages_after(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    assert chosen(client, f"/account/?instance={two[1].number}") == "Second"
    assert chosen(client) == "Second"


@pytest.mark.parametrize("given", ["0", "nonsense", "-1", "99999999999999999999", "٣"])
def test_a_number_that_is_none_of_ones_own_chooses_nothing(
    client: Client, two: tuple[Instance, Instance], given: str
) -> None:
    assert chosen(client, f"/account/?instance={given}") == "First"


def test_the_chooser_names_the_instance_of_a_hook_a_redelivery_and_a_bin(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    """Whatever the session and the query string say."""
    second = two[1]
    change_settings(second, changes={"webhookUrl": "https://example.com/hook"})
    receive_message(second, sender="15550100101", body="hello")
    hook = Hook.objects.latest("pk")
    Hook.objects.filter(pk=hook.pk).update(state=State.FAILED, finished_at=timezone.now())
    job = redelivery.plan(Instance.objects.filter(pk=second.pk), wanted={}, acting_user=second.owner.owner)
    bin = Bin.objects.create(instance=second, key="abcdefgh")
    addresses = (
        f"/log/{hook.public_id}/",
        f"/log/redeliveries/{job.public_id}/",
        f"/testing/bins/{bin.key}/",
        f"/testing/bins/{bin.key}/share/",
    )
    for address in addresses:
        for query in ("", f"?instance={two[0].number}"):
            assert chosen(client, "/account/?instance=" + str(two[0].number)) == "First"
            assert chosen(client, address + query) == "Second"
            assert chosen(client) == "Second"  # the pages after it


def test_the_list_shows_the_first_steps_of_the_chosen_instance(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    for instance in two:
        page = client.get(f"/instances/?instance={instance.number}").text
        assert f"First steps with {instance.name}" in page


def test_the_instance_of_somebody_else_cannot_be_chosen(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    of_bob = InstanceFactory(owner=AccountFactory(email="bob@example.org"), name="Bob's")

    page = client.get(f"/account/?instance={of_bob.number}").content.decode()

    assert "Bob" not in re.sub(r"[\w-]{22,}", "", page)  # random tokens and nonces may contain it
    assert str(of_bob.number) not in page


def test_a_running_verification_stands_on_every_page_until_it_ends(
    client: Client, two: tuple[Instance, Instance]
) -> None:
    endpoints = Endpoint.objects.filter(instance=two[1])
    endpoints.update(
        override_url="http://x/bin/abcdefgh", override_until=timezone.now() + timedelta(minutes=5)
    )
    assert "Verification is running." in client.get("/account/").content.decode()

    endpoints.update(override_until=timezone.now() - timedelta(seconds=1))
    assert "Verification is running." not in client.get("/account/").content.decode()


def test_a_page_asks_the_database_a_fixed_number_of_times(
    client: Client, two: tuple[Instance, Instance], django_assert_num_queries: object
) -> None:
    client.get("/account/")  # stores the choice in the session
    with django_assert_num_queries(16):  # type: ignore[operator]
        client.get("/account/")
    for _ in range(5):
        InstanceFactory(owner=two[0].owner)
    with django_assert_num_queries(16):  # type: ignore[operator]
        client.get("/account/")


def test_pages_allow_nothing_inline(client: Client) -> None:
    policy = client.get(reverse("account_login"))["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert re.search(r"script-src 'self' 'nonce-[\w-]{22}';", policy)


def test_no_nonce_is_given_out_twice(client: Client) -> None:
    policies = {client.get(reverse("account_login"))["Content-Security-Policy"] for _ in range(2)}

    assert len(policies) == 2


def test_only_the_page_of_swagger_ui_may_write_styles_of_its_own(client: Client) -> None:
    policy = client.get(reverse("api-try"))["Content-Security-Policy"]

    assert "style-src 'self' 'unsafe-inline';" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def test_no_template_holds_what_the_policy_forbids() -> None:
    found = []
    for folder in Engine.get_default().dirs:
        for template in Path(folder).rglob("*.html"):
            text = template.read_text()
            if re.search(r"""\sstyle=|\son[a-z]+=["']|javascript:|<script>|<style>|https?://cdn""", text):
                found.append(template.name)
    assert found == []


@pytest.mark.parametrize(
    "name", ["css/base.css", "vendor/tabler/tabler.min.css", "vendor/tabler/tabler.min.js"]
)
def test_vendored_files_name_no_file_that_is_not_there(name: str) -> None:
    text = Path(str(finders.find(name))).read_text()

    assert "sourceMappingURL" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\(\"?(\w*:?)", text)) <= {"data:"}


def test_the_page_of_a_failure_needs_no_request() -> None:
    assert "Server error" in render_to_string("500.html")


def test_the_page_of_a_wrong_address_says_so_in_words(client: Client) -> None:
    answer = client.get("/log/not-a-hook/", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()


def test_times_are_said_in_relative_words() -> None:
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    said = {
        seconds: ui.relative(now - timedelta(seconds=seconds), now)
        for seconds in (0, 4, 5, 59, 60, 3599, 3600, 86_399, 86_400, 172_800, -30, -7200)
    }

    assert said == {
        0: "just now",
        4: "just now",
        5: "5 s ago",
        59: "59 s ago",
        60: "1 min ago",
        3599: "59 min ago",
        3600: "1 h ago",
        86_399: "23 h ago",
        86_400: "1 day ago",
        172_800: "2 days ago",
        -30: "in 30 s",
        -7200: "in 2 h",
    }


def test_an_icon_is_hidden_from_screen_readers_and_comes_from_its_file() -> None:
    drawn = ui.icon("bolt")

    assert 'aria-hidden="true"' in drawn
    assert '<path d="M13 3l0 7l6 0l-8 11l0 -7l-6 0l8 -11" />' in drawn


@pytest.mark.parametrize("name", ["no-such-icon", "../README", "bolt.svg"])
def test_an_icon_that_is_not_there_is_an_error_of_the_template(name: str) -> None:
    with pytest.raises(ui.template.TemplateSyntaxError):
        ui.icon(name)


def test_every_state_of_a_hook_and_of_an_instance_has_its_word_and_icon() -> None:
    from hooks.models import JobState, State
    from instances.models import NOT_PAID, AccountStatus

    assert {key: look.word for key, look in ui.HOOK_STATES.items()} == dict(State.choices)
    assert {key: look.word for key, look in ui.JOB_STATES.items()} == dict(JobState.choices)
    assert set(ui.INSTANCE_STATES) == {*AccountStatus.values, NOT_PAID}
    for look in [*ui.HOOK_STATES.values(), *ui.INSTANCE_STATES.values()]:
        assert look.word
        assert ui.drawing(look.icon)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1", "Safari on iPhone"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_called_as_people_call_it(user_agent: str, words: str) -> None:
    assert ui.browser(user_agent) == words
