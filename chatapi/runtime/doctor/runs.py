"""Carries out checks: each within its time, and none spoils the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from psycopg.pq import TransactionStatus

from chatapi.monitoring.error_text import exception_text
from chatapi.runtime.doctor.checklist import CONNECTION
from chatapi.runtime.doctor.findings import Check, Finding, Level, NotCarriedOut

DATABASE_ERRORS = (DatabaseError, InterfaceError, psycopg.Error)
AT_ONCE = 6  # threads, each with a database session
GRACE_SECONDS = 1.0  # for the database to end a statement that takes too long
PAGE_SECONDS = 2.0  # for each statement of the checks on the health page
NO_DATABASE = "the database cannot be used"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found; with `reason` it was not carried out, and says nothing about the site."""

    check: Check
    findings: tuple[Finding, ...] = ()
    reason: str = ""

    @property
    def level(self) -> Level:
        """The worst of the findings. A check that was not carried out is no pass: a warning."""
        found = max((finding.level for finding in self.findings), default=Level.OK)
        return max(found, Level.WARNING) if self.reason else found


def carry_out(check: Check) -> Result:
    """Carries the check out in this thread, without a time limit."""
    try:
        return Result(check, tuple(check.find()))
    except NotCarriedOut as reason:
        return Result(check, reason=str(reason))
    except psycopg.errors.QueryCanceled:
        return Result(check, reason=too_long(check))
    except DATABASE_ERRORS as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            return Result(check, reason=too_long(check))
        return Result(check, reason=f"the database reported an error, {exception_text(error)}")
    except Exception as error:  # noqa: BLE001 - a check that fails must not hide what the others find
        return Result(check, reason=f"it failed with {exception_text(error)}")


def too_long(check: Check) -> str:
    return f"it took longer than {check.seconds:g} s"


def limit_statements(seconds: float) -> None:
    """Sets the time limit of statements until the end of the transaction. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])


def carry_out_with_limits(check: Check) -> Result:
    """Carries the check out in a thread and a database session of its own; returns when its time is over."""
    results: list[Result] = []

    def work() -> None:
        try:
            if check.needs_database:
                with transaction.atomic():
                    limit_statements(check.seconds)
                    results.append(carry_out(check))
                    transaction.set_rollback(True)
            else:
                results.append(carry_out(check))
        except DATABASE_ERRORS as error:
            results.append(Result(check, reason=f"the database reported an error, {exception_text(error)}"))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, name=f"check {check.name}", daemon=True)
    thread.start()
    thread.join(check.seconds + GRACE_SECONDS)
    return results[0] if results else Result(check, reason=too_long(check))


def carry_out_all(checks: Sequence[Check]) -> list[Result]:
    """Carries out all checks, several at the same time, each within its time; returns the results in their order."""
    before = {CONNECTION.name: carry_out_with_limits(CONNECTION)}
    has_database = before[CONNECTION.name].level < Level.ERROR and not before[CONNECTION.name].reason

    def one(check: Check) -> Result:
        if check.name in before:
            return before[check.name]
        if check.needs_database and not has_database:
            return Result(check, reason=NO_DATABASE)
        return carry_out_with_limits(check)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, checks))


def carry_out_for_page(checks: Iterable[Check]) -> list[Result]:
    """Carries out checks in this thread and one transaction, whose statements have a time limit, for a page.

    After an error of the database the rest of those that need it are not carried out.
    """
    results, has_database = [], True
    with transaction.atomic():
        limit_statements(PAGE_SECONDS)
        for check in checks:
            if check.needs_database and not has_database:
                results.append(Result(check, reason=NO_DATABASE))
                continue
            results.append(carry_out(check))
            if (
                results[-1].reason
                and connection.connection.info.transaction_status == TransactionStatus.INERROR
            ):
                has_database = False
                transaction.set_rollback(True)
    return results
