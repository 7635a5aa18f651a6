"""The support desk's own pages: numbers, what needs you, customers, and the issues of all accounts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure
from pytest_django.fixtures import Settings
from time_machine import TimeMachineFixture

from accounts.audit import AuditEntry
from accounts.models import User
from accounts.notices import SEND_NOTICE
from chatapi.staff import health
from chatapi.staff.desk import customers
from chatapi.staff.desk import issues as issue_pages
from hooks import metrics
from hooks.maintenance import load_samples
from hooks.models import (
    Endpoint,
    Hook,
    Issue,
    IssueState,
    Kind,
    LoadSample,
    Outcome,
    PauseReason,
    Redelivery,
    State,
)
from instances.actions.channel_links import lose_link, save_link
from instances.actions.stopping import block_account
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_issue

HOME, ISSUES = "/admin/", "/admin/issues/"


def customer(instance: Instance, *, chosen: bool = False) -> str:
    page = reverse("admin:customer", args=[instance.owner_id])
    return f"{page}?instance={instance.number}" if chosen else page


def failed_hooks(instance: Instance, number: int) -> list[Hook]:
    """Hooks that have failed with 500, as the issue of create_issue counts them."""
    now = timezone.now()
    return Hook.objects.bulk_create(
        Hook(
            endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b'{"messages":[]}', state=State.FAILED,
            created_at=now, finished_at=now, attempts_made=1, last_outcome=Outcome.NOT_200, last_status=500,
            last_host="example.com",
        )
        for _ in range(number)
    )  # fmt: skip


# -- tiles


def test_the_tiles_count_what_their_links_list(staff: Client, instance: Instance) -> None:
    now = timezone.now()
    failing, paused, listening = (InstanceFactory(url=f"https://{n}.example/") for n in range(3))
    Endpoint.objects.filter(pk__in=[failing.pk, paused.pk, listening.pk]).update(failing_since=now)
    Endpoint.objects.filter(pk=paused.pk).update(paused_at=now, pause_reason=PauseReason.FAILING)
    Endpoint.objects.filter(pk=listening.pk).update(is_listener=True)
    Hook.objects.create(endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"{}", created_at=now)
    tiles = {tile.label: tile for tile in staff.get(HOME).context["tiles"]}
    assert {label: tile.words for label, tile in tiles.items()} == {
        "Waiting hooks": "1",
        "Delivered per minute": "–",
        "Failing endpoints": "1",
        "Paused endpoints": "1",
    }
    for label, endpoint in (("Failing endpoints", failing.pk), ("Paused endpoints", paused.pk)):
        rows = staff.get(tiles[label].url).context["cl"].result_list
        assert [row.pk for row in rows] == [endpoint]


def test_a_sample_a_minute_draws_the_lines(
    staff: Client, instance: Instance, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    now = timezone.now().replace(second=0, microsecond=0)
    LoadSample.objects.bulk_create(
        LoadSample(
            minute=now - timedelta(minutes=minutes), waiting=10 * minutes, failing=0, paused=1,
            delivered=1000 - 50 * minutes,
        )
        for minutes in range(1, 11)
    )  # fmt: skip
    old = LoadSample.objects.create(
        minute=now - timedelta(days=1, minutes=2), waiting=0, failing=0, paused=0, delivered=0
    )
    metrics.add(connection.connection, 0, {(metrics.FINISHED, State.DELIVERED.value): 1100})
    load_samples.record()
    load_samples.record()  # a second run in the same minute
    assert LoadSample.objects.count() == 11
    assert not LoadSample.objects.filter(pk=old.pk).exists()
    waiting, delivered, failing, paused = staff.get(HOME).context["tiles"]
    assert (waiting.highest, paused.highest, failing.highest) == ("100", "1", "0")
    assert (delivered.words, delivered.highest) == ("150", "150")  # 50 a minute before
    heights = [float(point.split(",")[1]) for point in waiting.points.split()]
    assert len(heights) == 11 and heights == sorted(heights)  # the SVG's y axis points down: ever fewer wait
    assert 'polyline points="' in staff.get(HOME).text


def test_a_gap_between_samples_is_no_rate(staff: Client, instance: Instance) -> None:
    now = timezone.now()
    for minutes, delivered in ((40, 0), (39, 60), (1, 100_000)):
        LoadSample.objects.create(
            minute=now - timedelta(minutes=minutes), waiting=0, failing=0, paused=0, delivered=delivered
        )
    tile = staff.get(HOME).context["tiles"][1]
    assert (tile.words, tile.points) == ("–", "")


# -- what needs you


def whats(client: Client) -> list[tuple[str, str]]:
    """Who and the first words of what, of the rows about customers."""
    rows = client.get(HOME).context["needs"].rows
    return [(row.who, row.what) for row in rows if row.url.startswith("/admin/customers/")]


def test_failing_customers_come_with_their_largest_issue(staff: Client, instance: Instance) -> None:
    create_issue(instance.endpoint, status=404, hooks=2)
    create_issue(instance.endpoint, hooks=40)
    other = InstanceFactory(owner=AccountFactory(email="bob@example.org"), url="https://b.example/")
    create_issue(other.endpoint, hooks=500)
    create_issue(other.endpoint, status=502, state=IssueState.ACKNOWLEDGED, hooks=9000)
    resolved = InstanceFactory(url="https://c.example/")
    create_issue(resolved.endpoint, state=IssueState.RESOLVED, resolved_at=timezone.now())
    found = whats(staff)
    assert [who for who, _ in found] == ["bob@example.org", "alice@example.org"]
    assert found[0][1].startswith("500 hooks failed: ") and "500" in found[0][1]
    assert found[1][1].startswith("42 hooks failed and 1 other issue: ")


def test_lost_links_and_paused_endpoints_lead_to_their_customer(staff: Client, instance: Instance) -> None:
    shop = InstanceFactory(channel="telegram", name="Bot", owner=instance.owner)
    save_link(shop, credentials={"token": "700:secret"}, external_id="1", name="@bot", acting_user=None)
    lose_link(shop, reason="Telegram does not know the token.")
    now = timezone.now()
    Endpoint.objects.filter(pk=instance.pk).update(paused_at=now, pause_reason=PauseReason.FAILING)
    by_hand = InstanceFactory(url="https://c.example/")
    Endpoint.objects.filter(pk=by_hand.pk).update(paused_at=now, pause_reason=PauseReason.BY_HAND)
    page = staff.get(HOME)
    rows = [row for row in page.context["needs"].rows if row.url.startswith("/admin/customers/")]
    assert [(row.url, row.who) for row in rows] == [
        (customer(shop, chosen=True), "alice@example.org"),
        (customer(instance, chosen=True), "alice@example.org"),
    ]
    assert "Bot: Telegram does not know the token." in page.text and "700:secret" not in page.text
    for row in rows:
        assert staff.get(row.url).status_code == 200


def test_mails_that_fail_and_what_the_checks_find(staff: Client, instance: Instance) -> None:
    def mails() -> list[str]:
        return [row.what for row in staff.get(HOME).context["needs"].rows if row.look.word == "Mail"]

    assert mails() == []
    now = timezone.now()
    for number, stopped in enumerate((now, now - timedelta(days=2))):
        Failure.objects.create(
            id=str(number),
            name=str(number),
            func=SEND_NOTICE,
            started=stopped,
            stopped=stopped,
            success=False,
        )
    create_issue(instance.endpoint, opened_at=now - timedelta(minutes=80))
    create_issue(
        instance.endpoint, status=404, opened_at=now - timedelta(minutes=70)
    )  # within the limit per hour
    assert mails() == ["2 mails could not be sent in the last 24 hours."]
    caches["process"].clear()  # half a minute later
    rows = staff.get(HOME).context["needs"].rows
    site = [row for row in rows if row.who == "Background work"]
    assert [row.url for row in site if row.what.startswith("Background tasks failed")] == ["/admin/health/"]
    assert all(row.next_step for row in rows)


def test_the_checks_are_carried_out_once_in_half_a_minute(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out = []
    original = health.checks_context

    def counted() -> dict[str, Any]:
        carried_out.append(timezone.now())
        return original()

    monkeypatch.setattr(health, "checks_context", counted)
    first = staff.get(HOME).context["needs"].rows
    assert staff.get(HOME).context["needs"].rows == first
    assert len(carried_out) == 1
    caches["process"].clear()
    staff.get(HOME)
    assert len(carried_out) == 2


def test_each_group_sees_its_own_part(of_group: Callable[[str], Client], instance: Instance) -> None:
    create_issue(instance.endpoint)
    assert len(whats(of_group("support"))) == 1
    billing = of_group("billing").get(HOME)
    assert (billing.status_code, billing.context["tiles"], billing.context["needs"].rows) == (200, [], [])


def test_many_rows_ask_no_more_than_few(staff: Client, instance: Instance) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as asked:
            staff.get(HOME)
        return len(asked)

    create_issue(instance.endpoint)
    staff.get(HOME)  # carries out the checks
    few = count()
    for number in range(30):
        other = InstanceFactory(url=f"https://{number}.example/")
        create_issue(other.endpoint)
        Endpoint.objects.filter(pk=other.pk).update(
            paused_at=timezone.now(), pause_reason=PauseReason.FAILING
        )
    needs = staff.get(HOME).context["needs"]
    assert count() == few
    assert [words for words, _ in needs.more] == ["All issues", "All paused endpoints"]


# -- a customer


def test_a_customers_page_shows_what_fails_and_the_last_hooks(
    staff: Client, charlie: User, instance: Instance
) -> None:
    hook = failed_hooks(instance, 3)[-1]
    create_issue(instance.endpoint)
    page = staff.get(customer(instance))
    assert [row.missed for row in page.context["issues"]] == [3]
    assert "Resend the 3 that failed since" in page.text
    assert reverse("admin:customer_hook", args=[hook.public_id]) in page.text
    assert f"{customer(instance, chosen=True)}#chosen" in page.text
    for name in ("look", "block", "quota"):
        assert f"/admin/accounts/account/do/{name}/" in page.text
    assert 'href="/admin/accounts/account/do/unblock/' not in page.text
    block_account(instance.owner, reason="spam", acting_user=charlie)
    page = staff.get(customer(instance))
    assert "/admin/accounts/account/do/unblock/" in page.text and "spam" in page.text


def test_a_chosen_instance_has_its_facts_its_actions_and_only_its_hooks(
    staff: Client, instance: Instance
) -> None:
    Instance.objects.filter(pk=instance.pk).update(phone="4915112345678")
    Endpoint.objects.filter(pk=instance.pk).update(url="https://u:pass-1@example.com/hook?key=secret")
    other = InstanceFactory(owner=instance.owner, name="Other", url="https://other.example/")
    own, foreign = failed_hooks(instance, 1)[0], failed_hooks(other, 1)[0]
    page = staff.get(customer(instance, chosen=True))
    assert [hook.pk for hook in page.context["hooks"]] == [own.pk] != [foreign.pk]
    assert "+4915112345678" in page.text and "https://example.com/hook?key=***" in page.text
    assert "pass-1" not in page.text and "key=secret" not in page.text
    for secret in (instance.token, instance.endpoint.secret):
        assert secret not in page.text
    for name in ("look", "pay", "stop", "log-out", "cancel-hooks"):
        assert f"/admin/instances/instance/do/{name}/?pk={instance.pk}" in page.text
    answer = staff.post(f"/admin/instances/instance/do/stop/?pk={instance.pk}", {"reason": "spam"})
    assert answer["Location"] == customer(instance, chosen=True)


def test_the_number_of_another_customers_instance_chooses_none(staff: Client, instance: Instance) -> None:
    other = InstanceFactory(owner=AccountFactory(email="bob@example.org"), name="Bob's")
    page = staff.get(customer(instance), {"instance": other.number})
    assert page.context["chosen"] is None and "Bob&#x27;s" not in page.text
    for given in ("x", "9" * 30, "-1", "\u0664"):
        assert staff.get(customer(instance), {"instance": given}).context["chosen"] is None


def test_a_view_is_in_the_audit_log_and_the_owner_sees_it(
    of_group: Callable[[str], Client], instance: Instance, alice: Client
) -> None:
    support = of_group("support")
    assert support.get(customer(instance)).status_code == 200
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor_text, entry.account_id) == (
        "look.customer",
        "support@example.org",
        instance.owner_id,
    )
    page = alice.get("/account/history/").text
    assert "Staff viewed the account&#x27;s facts" in page and "support@example.org" not in page


def test_a_customers_page_keeps_no_body(of_group: Callable[[str], Client], instance: Instance) -> None:
    Hook.objects.create(
        endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b'{"messages":[{"type":"chat","body":"private"}]}'
    )
    with CaptureQueriesContext(connection) as asked:
        page = of_group("support").get(customer(instance))
    assert "private" not in page.text
    assert not [query["sql"] for query in asked.captured_queries if '"hooks_hook"."body"' in query["sql"]]


def test_billing_sees_the_account_and_its_instances_only(
    of_group: Callable[[str], Client], instance: Instance
) -> None:
    failed_hooks(instance, 1)
    create_issue(instance.endpoint)
    page = of_group("billing").get(customer(instance, chosen=True))
    assert page.status_code == 200 and "/admin/instances/instance/do/pay/" in page.text
    assert "issues" not in page.context and "hooks" not in page.context and "keys" not in page.context
    assert "/admin/instances/instance/do/stop/" not in page.text


def test_a_customer_with_many_instances_asks_no_more(staff: Client, instance: Instance) -> None:
    def count(page: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(page).status_code == 200
        return len(asked)

    def add(number: int) -> None:
        for place in range(number):
            other = InstanceFactory(owner=instance.owner, url=f"https://{place}.example/")
            if place < 5:
                create_issue(other.endpoint)

    failed_hooks(instance, 25)
    create_issue(instance.endpoint)
    add(30)  # more than hooks are shown: from here on they are found in another way
    few = count(customer(instance))
    add(40)
    assert count(customer(instance)) == few
    page = staff.get(customer(instance))
    assert len(page.context["cards"]) == customers.INSTANCES_SHOWN


def test_a_customer_with_many_instances_and_issues_has_a_short_page(
    staff: Client, instance: Instance
) -> None:
    owner = instance.owner
    others = [InstanceFactory(owner=owner) for _ in range(customers.INSTANCES_SHOWN)]
    for other in others[: customers.ISSUES_SHOWN]:
        create_issue(other.endpoint)
    whole = f"/admin/issues/?q={quote(owner.owner.email)}"
    page = staff.get(customer(instance)).content.decode()
    assert whole not in page
    create_issue(instance.endpoint)
    shown = staff.get(customer(instance))
    assert len(shown.context["issues"]) == customers.ISSUES_SHOWN
    assert f'href="{whole}"' in shown.content.decode()
    assert len(staff.get(whole).context["rows"]) == customers.ISSUES_SHOWN + 1
    assert len(shown.context["cards"]) == customers.INSTANCES_SHOWN
    rest = staff.get(customer(instance), {"after": shown.context["after"]})
    assert len(rest.context["cards"]) == 1


@pytest.mark.parametrize("key", [0, 10**9, 2**63, 10**30])
def test_no_such_customer(staff: Client, key: int) -> None:
    assert staff.get(f"/admin/customers/{key}/").status_code == 404


def test_customers_and_strangers_find_no_desk(alice: Client, instance: Instance) -> None:
    issue = create_issue(instance.endpoint)
    failed_hooks(instance, 1)
    resend = reverse("admin:resend_issue", args=[issue.public_id])
    for page in (HOME, ISSUES, "/admin/tables/", "/admin/search/?q=alice", customer(instance)):
        assert alice.get(page).status_code == 404
        assert Client().get(page)["Location"].startswith("/admin/login/")
    assert alice.post(resend).status_code == 404
    assert Client().post(resend)["Location"].startswith("/admin/login/")
    assert not Redelivery.objects.exists()


# -- the issues of all accounts


def test_the_issues_of_all_accounts(staff: Client, instance: Instance) -> None:
    other = InstanceFactory(
        owner=AccountFactory(email="bob@example.org"), name="Bot", url="https://b.example/"
    )
    now = timezone.now()
    first = create_issue(instance.endpoint, last_failed_at=now - timedelta(minutes=1))
    second = create_issue(other.endpoint, state=IssueState.ACKNOWLEDGED, last_failed_at=now)
    third = create_issue(other.endpoint, status=404, state=IssueState.RESOLVED, resolved_at=now)

    def shown(**query: str) -> list[Issue]:
        return [row.issue for row in staff.get(ISSUES, query).context["rows"]]

    assert shown() == [second, first]
    assert shown(state="open") == [first]
    assert shown(state="resolved") == [third]
    assert shown(state="none") == [second, first]
    assert shown(q="bob@") == shown(q=str(other.number)) == shown(q="b.example") == [second]
    assert shown(q="nothing@example.org") == []
    page = staff.get(ISSUES).text
    assert f"{customer(other)}?instance={other.number}" in page and "bob@example.org" in page
    assert 'menu-count">1<' in page  # open ones


def test_older_issues_follow(staff: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issue_pages, "SHOWN", 2)
    now = timezone.now()
    made = [
        create_issue(instance.endpoint, status=status, last_failed_at=now)
        for status in (400, 401, 402, 403, 404)
    ]
    found, page = [], staff.get(ISSUES)
    for _ in range(3):
        found += [row.issue for row in page.context["rows"]]
        page = staff.get(ISSUES, {"before": page.context["older"] or ""})
    assert found == made[::-1]


def test_resend_is_for_support_and_in_the_audit_log(
    of_group: Callable[[str], Client], instance: Instance
) -> None:
    issue = create_issue(instance.endpoint)
    address = reverse("admin:resend_issue", args=[issue.public_id])
    support, billing = of_group("support"), of_group("billing")
    assert billing.post(address).status_code == 403
    assert support.get(address).status_code == 405
    answer = support.post(address, follow=True)
    assert "No matching hook can be resent." in answer.text
    failed_hooks(instance, 3)
    answer = support.post(address, {"next": customer(instance)})
    assert answer["Location"] == customer(instance)
    job = Redelivery.objects.get()
    assert (job.planned, job.created_by) == (3, support.person)  # type: ignore[attr-defined]
    assert "3 hooks of Shop will be resent." in support.get(customer(instance)).text
    entry = AuditEntry.objects.get(action="redelivery.planned")
    assert (entry.actor_text, entry.account_id) == ("support@example.org", instance.owner_id)
    for other in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/" * 3000,
    ):
        assert support.post(address, {"next": other})["Location"] == ISSUES


def test_after_signing_out_in_another_tab_a_button_changes_nothing(
    of_group: Callable[[str], Client], instance: Instance
) -> None:
    hook, issue = failed_hooks(instance, 1)[0], create_issue(instance.endpoint)
    client = of_group("support")
    tools = [
        f"/admin/hooks/hook/do/resend/?pk={hook.pk}",
        f"/admin/instances/instance/do/stop/?pk={instance.pk}",
        reverse("admin:resend_issue", args=[issue.public_id]),
    ]
    assert [client.get(page).status_code for page in tools[:2]] == [200, 200]
    client.post("/accounts/logout/")
    before = AuditEntry.objects.count()
    for page in tools:
        assert client.post(page, {"reason": "spam"})["Location"].startswith("/admin/login/?next=/admin/")
    hook.refresh_from_db()
    assert hook.state == State.FAILED and not Redelivery.objects.exists()
    assert AuditEntry.objects.count() == before
    assert not Instance.objects.get(pk=instance.pk).is_stopped


def test_the_sign_in_of_the_desk_leads_to_this_site(staff: Client) -> None:
    for other in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        for client in (staff, Client()):
            answer = client.get("/admin/login/", {"next": other})
            target = answer.headers.get("Location", "/").partition("?")[0]
            assert target.startswith("/") and "evil" not in target and "javascript" not in target


def test_one_hook_is_resent(of_group: Callable[[str], Client], instance: Instance) -> None:
    hook = failed_hooks(instance, 1)[0]
    address = f"/admin/hooks/hook/do/resend/?pk={hook.pk}"
    support = of_group("support")
    assert address in support.get(f"/admin/hooks/hook/{hook.pk}/change/").text
    support.post(address)
    hook.refresh_from_db()
    assert hook.state == State.RETRYING
    assert AuditEntry.objects.get(action="hook.resent").actor_text == "support@example.org"
    assert address not in support.get(f"/admin/hooks/hook/{hook.pk}/change/").text  # it has not finished


# -- details


def test_the_frame_is_that_of_the_account(staff: Client, settings: Settings) -> None:
    """The same style sheets, theme and menu component on every page of the desk, and on what a tool asks."""
    for page in (
        HOME,
        ISSUES,
        "/admin/tables/",
        "/admin/search/",
        "/admin/health/",
        "/admin/testing_tools/bin/by-size/",
    ):
        text = staff.get(page).text
        assert "css/tokens" in text and "css/frame" in text and "js/theme" in text, page
        assert "admin/css/base" not in text, page
        assert 'action="/admin/search/"' in text, page
