"""CHECK constraints with short texts decide as their rules say, and a replacement can be repeated."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, Field, Model

from chatapi.database.checks import ReplaceCheck, one_of
from hooks.models import Hook, SkipReason, State
from hooks.models.choices import UNFINISHED
from hooks.sql.partitions import existing
from instances.models import AccountStatus, Chat, Instance, Message, Substatus

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ENDS = (None, NOW)
NEAR = ("", " ", "Queued", "queued ", "queued\n", "\nqueued", "queued|failed", "norma", "normall", "xinit")


def decides(name: str, **values: Any) -> Any:
    """What the constraint in the database says of a row with these values."""
    columns = ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = %s AND contype = 'c'"
            " AND conparentid = 0 AND conislocal",
            [name],
        )
        [[condition]] = cursor.fetchall()
        types = {"finished_at": "timestamptz"}
        given = ", ".join(f"%s::{types.get(column, 'varchar')}" for column in values)
        cursor.execute(
            f"SELECT {condition.replace('%', '%%')} FROM (VALUES ({given})) AS row ({columns})",
            list(values.values()),
        )
        return cursor.fetchone()[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("hooks_hook_state", "state", State.values),
        ("instances_instance_status", "account_status", AccountStatus.values),
        ("instances_instance_substatus", "substatus", Substatus.values),
        ("instances_chat_activity", "activity", ["", *Chat.Activity.values]),
    ],
)
def test_only_the_words_are_accepted(name: str, column: str, words: list[str]) -> None:
    for word in {*words, *NEAR, *(word.upper() for word in words), *(f"{word}\n" for word in words)}:
        assert decides(name, **{column: word}) is (word in words), repr(word)


@pytest.mark.django_db
def test_a_hook_has_an_end_and_a_reason_as_its_state_says() -> None:
    for state, end in product(State.values, ENDS):
        is_right = (state in UNFINISHED) == (end is None)
        assert decides("hooks_hook_finished", state=state, finished_at=end) is is_right, (state, end)
    for state, reason in product(State.values, ("", *SkipReason.values)):
        is_right = (state == State.SKIPPED) == (reason != "")
        assert decides("hooks_hook_skipped_says_why", state=state, skip_reason=reason) is is_right


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Hook, Message])
def test_what_a_message_of_a_contact_changes_has_no_checks_but_the_rules_of_its_model(
    model: type[Model],
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'",
            [model._meta.db_table],
        )
        found = {name for (name,) in cursor.fetchall()}
    assert found == {one.name for one in model._meta.constraints if isinstance(one, CheckConstraint)}


@pytest.mark.parametrize(
    ("model", "name"),
    [(Hook, "attempts_made"), (Message, "number"), (Message, "forwarded")],
)
def test_a_number_without_a_check_is_not_negative_in_forms(model: type[Model], name: str) -> None:
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    field.run_validators(0)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        field.run_validators(-1)


def test_a_word_that_a_regular_expression_would_read_is_refused() -> None:
    with pytest.raises(ValueError, match="2xx"):
        one_of("state", ["2xx", "2xx."])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("model", "name", "interrupted"),
    [
        (Hook, "hooks_hook_finished", "ALTER TABLE hooks_hook DROP CONSTRAINT hooks_hook_finished"),
        (Instance, "instances_instance_status", "SELECT 1"),
    ],
)
def test_a_replacement_can_be_repeated(model: type[Hook | Instance], name: str, interrupted: str) -> None:
    constraint = next(one for one in model._meta.constraints if one.name == name)
    operation = ReplaceCheck(model._meta.model_name, constraint)  # type: ignore[arg-type]
    state = ProjectState.from_apps(apps)
    with connection.cursor() as cursor:
        cursor.execute(interrupted)
        for _ in range(2):
            with connection.schema_editor(atomic=False) as editor:
                operation.database_forwards(model._meta.app_label, editor, state, state)
        tables = 1 + len(existing(cursor)) if model is Hook else 1
        cursor.execute("SELECT convalidated FROM pg_constraint WHERE conname = %s AND contype = 'c'", [name])
        assert cursor.fetchall() == [(True,)] * tables
