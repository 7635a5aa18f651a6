"""`manage.py doctor`: its time limits, its report for people, and the one for bug reports."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from chatapi.management.commands.doctor import EXIT_CODES, as_json
from chatapi.runtime.doctor.checklist import BY_NAME, CHECKS, ON_PAGE, READINESS
from chatapi.runtime.doctor.findings import Area, Check, Finding, Level, NotCarriedOut, error, note, warning
from chatapi.runtime.doctor.redaction import redact, redact_next_step
from chatapi.runtime.doctor.report import lines_of
from chatapi.runtime.doctor.runs import (
    Result,
    carry_out,
    carry_out_all,
    carry_out_for_page,
    carry_out_with_limits,
)
from tests.chatapi.runtime.doctor.finding import complaints
from tests.product import free_port, manage, product_environment


def a_check(find: object, *, needs_database: bool = False, seconds: float = 5.0) -> Check:
    return Check("a-check", "A check", Area.MACHINE, find, needs_database=needs_database, seconds=seconds)  # type: ignore[arg-type]


# -- the list


def test_names_and_titles_are_unique() -> None:
    assert len(BY_NAME) == len(CHECKS) == len({check.title for check in CHECKS})
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in BY_NAME)
    assert [area for area in Area if not any(check.area == area for check in CHECKS)] == []


def test_checks_of_one_area_follow_each_other() -> None:
    areas = [check.area for check in CHECKS]
    assert areas == sorted(areas, key=list(Area).index)


def test_every_check_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "running" / "watching.md").read_text()
    assert [name for name in BY_NAME if f"`{name}`" not in text] == []


# -- runs


def test_a_check_that_hangs_is_not_carried_out() -> None:
    check = a_check(lambda: time.sleep(30), seconds=0.2)
    result = carry_out_with_limits(check)
    assert (result.reason, result.level) == ("it took longer than 0.2 s", Level.WARNING)


@pytest.mark.django_db(transaction=True)
def test_a_query_that_hangs_is_ended_by_the_database() -> None:
    from django.db import connection

    def find() -> Iterator[Finding]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")
        yield note("It slept.", "Wake it.")

    assert (
        carry_out_with_limits(a_check(find, needs_database=True, seconds=0.3)).reason
        == "it took longer than 0.3 s"
    )


def test_a_check_that_fails_does_not_spoil_the_others() -> None:
    def find() -> Iterator[Finding]:
        yield warning("Half of it.", "Read on.")
        raise KeyError("secret value")

    result = carry_out(a_check(find))
    assert (result.findings, result.reason) == ((), "it failed with KeyError: '…'")


def test_a_check_says_why_it_is_not_carried_out() -> None:
    def find() -> Iterator[Finding]:
        raise NotCarriedOut("there is no moon")
        yield

    assert carry_out(a_check(find)).reason == "there is no moon"


@pytest.mark.django_db(transaction=True)
def test_after_an_error_of_the_database_a_page_is_still_shown() -> None:
    from django.db import connection

    def fails() -> Iterator[Finding]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM nowhere")
        yield note("", "")

    first, second, third = carry_out_for_page(
        [a_check(fails, needs_database=True), BY_NAME["clock"], BY_NAME["debug"]]
    )
    assert "UndefinedTable" in first.reason
    assert (second.reason, third.reason) == ("the database cannot be used", "")
    assert carry_out(BY_NAME["clock"]).reason == ""


@pytest.mark.django_db(transaction=True)
def test_all_checks_are_carried_out_in_the_order_of_the_list() -> None:
    patient = [replace(check, seconds=60.0) for check in CHECKS if check.area != Area.SITE]
    results = carry_out_all(patient)
    assert [result.check.name for result in results] == [c.name for c in CHECKS if c.area != Area.SITE]
    assert [(result.check.name, result.reason) for result in results if result.reason] == []


# -- the same words everywhere


@pytest.mark.django_db
def test_readyz_the_page_and_the_command_have_the_same_words(
    client: Client, admin_client: Client, settings: Settings
) -> None:
    [finding] = carry_out(BY_NAME["dispatcher"]).findings
    assert client.get("/readyz").json() == {"status": "not ready", "reason": finding.problem}
    page = admin_client.get("/admin/health/").content.decode()
    assert finding.problem in page and "manage.py worker" in page
    assert finding.problem in "\n".join(lines_of([carry_out(BY_NAME["dispatcher"])], width=200))


def test_what_readyz_and_the_page_ask() -> None:
    assert [check.name for check in READINESS] == [
        "database-connection", "disk-space", "migrations", "secrets-key", "dispatcher",
    ]  # fmt: skip
    assert [check.name for check in ON_PAGE if check.area in (Area.SITE, Area.MAIL)] == []


# -- the report for people


def results() -> list[Result]:
    checks = [BY_NAME[name] for name in ("debug", "disk-space", "retention", "clock", "sender")]
    return [
        Result(checks[0], (note("A note.", "Nothing to do."),)),
        Result(checks[1], (error("The disk is full.", "Free space.", "12 bytes"),)),
        Result(checks[2], reason="the database cannot be used"),
        Result(checks[3], reason="the database cannot be used"),
        Result(checks[4]),
    ]


def test_the_worst_comes_first_and_what_is_fine_is_one_line() -> None:
    assert list(lines_of(results(), width=80)) == [
        "✗ Error · Machine · disk-space",
        "  The disk is full.",
        "  12 bytes",
        "  → Free space.",
        "",
        "· Note · Settings · debug",
        "  A note.",
        "  → Nothing to do.",
        "",
        "? 2 checks were not carried out: the database cannot be used.",
        "  Retention, Clock.",
        "",
        "✓ 1 check found nothing wrong (--all lists them).",
    ]


def test_all_lists_the_checks_that_found_nothing() -> None:
    lines = list(lines_of(results(), width=80, show_all=True))
    assert lines[-3:] == ["✓ Background work: Sender", "", "✓ 1 check found nothing wrong."]


def test_a_line_fits_the_terminal() -> None:
    long = Result(BY_NAME["sender"], (error("words " * 60 + "end.", "do " * 60 + "it."),))
    assert max(len(line) for line in lines_of([long], width=60)) <= 60


def test_exit_codes() -> None:
    assert EXIT_CODES == {Level.OK: 0, Level.NOTE: 0, Level.WARNING: 1, Level.ERROR: 2}


# -- the report for a bug report

HIDDEN = (
    "alice@example.org", "db1.internal.example.com", "chat.example.com", "10.1.2.3", "2001:db8::7", "s3cr3t-passw0rd",
    "chat_user", "mail.example.net", "/home/ann", "https://hooks.example.org/path?token=1",
)  # fmt: skip


def test_a_text_is_redacted(settings: Settings) -> None:
    settings.SITE_URL = "https://chat.example.com"
    settings.ALLOWED_HOSTS = ["chat.example.com", "localhost"]
    settings.EMAIL_HOST = "mail.example.net"
    settings.DATABASE_URL = "postgresql://chat_user:s3cr3t-passw0rd@db1.internal.example.com/chat"
    text = (
        " and ".join(HIDDEN)
        + ', FATAL: password authentication failed for user "chat_user", host "db1.internal.example.com"'
    )
    settings.EMAIL_HOST_PASSWORD = "s3cr3t-passw0rd"
    shown = redact(
        text.replace("db1.internal.example.com", 'host "db1.internal.example.com"', 1).replace(
            "chat_user", 'user "chat_user"', 1
        )
    )
    assert [value for value in HIDDEN if value in shown] == [], shown
    assert redact("connection to 127.0.0.1, port 5432 failed") == "connection to 127.0.0.1, port 5432 failed"
    step = "EMAIL_URL=submission://user:password@host:587"
    assert redact_next_step(step) == step


def test_the_keys_and_folders_of_this_site_are_redacted() -> None:
    text = f"{django_settings.SECRET_KEY} {django_settings.SECRETS_KEY[0]} {django_settings.DATA_DIR}/media"
    assert redact(text) == "<SECRET_KEY> <SECRETS_KEY> DATA_DIR/media"


def test_every_host_of_a_cluster_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "db1.internal,fd00::21,db2.internal")
    text = 'to "db1.internal" (10.0.0.1), to "fd00::21", to db2.internal:5433'
    assert redact(text) == (
        'to "<database host>" (<IP address>), to "<database host>", to <database host>:5433'
    )


def test_every_text_of_the_json_is_redacted() -> None:
    key = str(django_settings.SECRET_KEY)
    found = as_json([Result(BY_NAME["clock"], (error(f"{key}.", f"Use {key}.", key),), reason=key)])
    assert key not in json.dumps(found)


def test_a_site_where_everything_is_wrong(tmp_path: Path) -> None:
    """No database, no web server, wrong settings: the command works, and its report has no secret in it."""
    port, secret, token = free_port(), "correct-horse-battery", "m" * 20
    environment = product_environment(
        tmp_path, PORT=str(free_port()), SITE_URL=f"https://chat.private.example:{port}", API_RATE="often",
        DATABASE_URL=f"postgresql://operator:{secret}@127.0.0.1:{free_port()}/ledger", METRICS_TOKEN=token,
        EMAIL_URL=f"smtp://postman:{secret}@127.0.0.1:{port}", HOOKS_ALLOW_NETWORKS="10.20.30.0/24",
    )  # fmt: skip
    done = manage("doctor", "--json", environment=environment)
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    said = complaints({check["name"]: check for check in report["checks"]})
    assert said["settings"] == ["API_RATE: 'often' is not a number and a period."]
    assert said["database-connection"] == ["The database does not respond."]
    assert said["dispatcher"] == "the database cannot be used"
    assert said["mail-server"] and said["site-url"]
    for value in (
        secret,
        token,
        "chat.private.example",
        "operator",
        "ledger",
        "postman",
        "10.20.30",
        str(tmp_path),
    ):
        assert value not in done.stdout, value
    shown = manage("doctor", environment=environment)
    assert shown.returncode == 2
    assert "✗ Error · Database · database-connection" in shown.stdout
    assert secret not in shown.stdout
