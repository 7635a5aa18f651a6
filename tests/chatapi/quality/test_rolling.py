"""The check of migrations beside old code: ours pass, and it finds each kind of what old code cannot live with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Now, Random

from chatapi.database.checks import ReplaceCheck
from chatapi.database.concurrent_index import AddIndexAgain
from chatapi.quality.rolling import later_migrations, releases
from chatapi.quality.rolling.locks import locked_tables
from chatapi.quality.rolling.operations import problems_of
from chatapi.quality.rolling.problems import Kind, Problem
from chatapi.quality.rolling.tables import tables_of

Fields = list[tuple[str, "models.Field[Any, Any]"]]
INDEX = models.Index(fields=["url"], name="hooks_hook_url")
CHECK = models.CheckConstraint(condition=models.Q(number__gt=0), name="hooks_hook_number")
KNOWN = models.CheckConstraint(condition=models.Q(number__lt=9), name="hooks_hook_known")
ONE_URL = models.UniqueConstraint(fields=["url"], name="hooks_hook_one_url")


def field(form: models.Field[Any, Any], name: str = "note") -> Operation:
    return migrations.AddField("hook", name, form)


def alter(name: str, form: models.Field[Any, Any]) -> Operation:
    return migrations.AlterField("hook", name, form)


def sql(text: str) -> Operation:
    return migrations.RunSQL(text)


def without(name: str) -> Operation:
    """Removes the field from the models alone."""
    return migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("hook", name)])


def kinds_of(*operations: Operation, atomic: bool = True) -> set[Kind]:
    """Returns what is found if the last release has the table hooks_hook."""
    state = ProjectState()
    fields: Fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("url", models.CharField(max_length=100)),
        ("number", models.IntegerField(db_default=1)),
        ("key", models.CharField(max_length=9, unique=True)),
        ("text", models.TextField(null=True)),
    ]
    one_number = models.UniqueConstraint(fields=["number"], name="hooks_hook_one_number")
    options = {"constraints": [one_number, KNOWN]}
    state.add_model(ModelState("hooks", "Hook", fields, options))
    sample = type("Migration", (migrations.Migration,), {"operations": list(operations), "atomic": atomic})
    migration = sample("9999_sample", "hooks")
    return {problem.kind for problem in problems_of(migration, state, tables_of(state))}


REFUSED = {
    "removed column": (migrations.RemoveField("hook", "url"), Kind.REMOVED),
    "removed table": (migrations.DeleteModel("Hook"), Kind.REMOVED),
    "renamed column": (migrations.RenameField("hook", "url", "address"), Kind.REMOVED),
    "renamed column of a field that keeps its name": (
        alter("url", models.CharField(max_length=100, db_column="address")),
        Kind.REMOVED,
    ),
    "renamed table": (migrations.RenameModel("Hook", "Event"), Kind.REMOVED),
    "other table": (migrations.AlterModelTable("hook", "events"), Kind.REMOVED),
    "required column": (field(models.IntegerField(default=1)), Kind.REQUIRED),
    "value required": (alter("text", models.TextField(default="")), Kind.REQUIRED),
    "default dropped": (alter("number", models.IntegerField()), Kind.REQUIRED),
    "required column left behind": (without("url"), Kind.REQUIRED),
    "changed type": (alter("number", models.BigIntegerField(db_default=1)), Kind.TYPE),
    "shorter text": (alter("url", models.CharField(max_length=50)), Kind.TYPE),
    "default for each row": (field(models.FloatField(db_default=Random())), Kind.COMPUTED),
    "generated column": (
        field(
            models.GeneratedField(
                expression=models.F("number") + 1, output_field=models.IntegerField(), db_persist=True
            )
        ),
        Kind.COMPUTED,
    ),
    "unique column": (field(models.TextField(null=True, unique=True)), Kind.UNIQUE),
    "column made unique": (alter("text", models.TextField(null=True, unique=True)), Kind.UNIQUE),
    "unique constraint": (migrations.AddConstraint("hook", ONE_URL), Kind.UNIQUE),
    "unique together": (migrations.AlterUniqueTogether("hook", {("url", "number")}), Kind.UNIQUE),
    "no longer unique": (
        migrations.RemoveConstraint("hook", "hooks_hook_one_number"),
        Kind.NOT_UNIQUE,
    ),
    "column no longer unique": (alter("key", models.CharField(max_length=9)), Kind.NOT_UNIQUE),
    "index": (migrations.AddIndex("hook", INDEX), Kind.INDEX),
    "index of a column": (alter("text", models.TextField(null=True, db_index=True)), Kind.INDEX),
    "index of a new foreign key": (
        field(models.ForeignKey("hooks.Hook", models.CASCADE, null=True)),
        Kind.INDEX,
    ),
    "index inside a transaction": (AddIndexAgain("hook", INDEX), Kind.TRANSACTION),
    "checked constraint": (migrations.AddConstraint("hook", CHECK), Kind.CONSTRAINT),
    "constraint replaced inside a transaction": (ReplaceCheck("hook", KNOWN), Kind.TRANSACTION),
    "column with a check": (field(models.PositiveIntegerField(null=True)), Kind.CONSTRAINT),
    "Python code": (migrations.RunPython(migrations.RunPython.noop), Kind.ROWS),
    "other operation": (type("AddTrigger", (Operation,), {"state_forwards": print})(), Kind.UNKNOWN),
    "SQL: drop table": (sql("DROP TABLE hooks_hook"), Kind.REMOVED),
    "SQL: drop column": (sql('ALTER TABLE "hooks_hook" DROP COLUMN IF EXISTS "url"'), Kind.REMOVED),
    "SQL: rename": (sql("SELECT 1; ALTER TABLE hooks_hook RENAME url TO address"), Kind.RENAMED),
    "SQL: required column": (sql("ALTER TABLE hooks_hook ADD COLUMN a int NOT NULL"), Kind.REQUIRED),
    "SQL: value required": (sql("alter table hooks_hook alter column text set not null"), Kind.REQUIRED),
    "SQL: default dropped": (
        sql("ALTER TABLE ONLY hooks_hook ALTER number DROP DEFAULT"),
        Kind.REQUIRED,
    ),
    "SQL: type": (sql("ALTER TABLE hooks_hook ALTER COLUMN number TYPE bigint"), Kind.TYPE),
    "SQL: index": (sql("-- a comment\nCREATE INDEX IF NOT EXISTS a ON hooks_hook (url)"), Kind.INDEX),
    "SQL: index inside a transaction": (
        sql("CREATE INDEX CONCURRENTLY a ON hooks_hook (url)"),
        Kind.TRANSACTION,
    ),
    "SQL: constraint": (
        sql("ALTER TABLE public.hooks_hook ADD CONSTRAINT a CHECK (number > 0)"),
        Kind.CONSTRAINT,
    ),
    "SQL: unique": (sql("ALTER TABLE hooks_hook ADD CONSTRAINT a UNIQUE USING INDEX b"), Kind.UNIQUE),
    "SQL: unique index": (sql("CREATE UNIQUE INDEX CONCURRENTLY a ON hooks_hook (url)"), Kind.UNIQUE),
    "SQL: update": (sql("UPDATE hooks_hook SET number = 2"), Kind.ROWS),
    "SQL: delete": (migrations.RunSQL([("DELETE FROM hooks_hook WHERE id < %s", [9])]), Kind.ROWS),
    "SQL: lock": (sql("VACUUM FULL hooks_hook"), Kind.LOCK),
}
ACCEPTED = {
    "column that may be NULL": field(models.IntegerField(null=True)),
    "column with a default": field(models.IntegerField(db_default=1)),
    "column with the time of the migration": field(models.DateTimeField(db_default=Now())),
    "foreign key without an index": field(
        models.ForeignKey("hooks.Hook", models.CASCADE, null=True, db_index=False)
    ),
    "other side of many": field(models.ManyToManyField("hooks.Hook")),
    "value no longer required": alter("url", models.CharField(max_length=100, null=True)),
    "longer text": alter("url", models.CharField(max_length=200)),
    "other choices": alter("url", models.CharField(max_length=100, choices=[("a", "b")])),
    "removed index": sql("DROP INDEX hooks_hook_old"),
    "constraint that is not checked": AddConstraintNotValid("hook", CHECK),
    "column that the models no longer have": without("text"),
    "column with a default that the models no longer have": without("number"),
    "drop of such a column": sql("ALTER TABLE hooks_hook DROP COLUMN old_url, DROP COLUMN old_key"),
    "constraint in SQL that is not checked": sql(
        "ALTER TABLE hooks_hook ADD CONSTRAINT a CHECK (number > 0) NOT VALID"
    ),
    "update of another table": sql("UPDATE other SET number = 2"),
    "column in SQL": sql("ALTER TABLE hooks_hook ADD COLUMN a int NOT NULL DEFAULT 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_old_code_cannot_live_with_is_refused(name: str) -> None:
    operation, kind = REFUSED[name]

    assert kind in kinds_of(operation)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_old_code_can_live_with_is_accepted(name: str) -> None:
    assert kinds_of(ACCEPTED[name]) == set()


def test_work_outside_a_transaction_is_accepted() -> None:
    python = migrations.RunPython(migrations.RunPython.noop)
    concurrently = sql("CREATE INDEX CONCURRENTLY a ON hooks_hook (url)")

    assert kinds_of(AddIndexAgain("hook", INDEX), python, concurrently, atomic=False) == set()
    assert kinds_of(ReplaceCheck("hook", KNOWN), atomic=False) == set()
    assert kinds_of(migrations.RunPython(migrations.RunPython.noop, atomic=True), atomic=False) == {Kind.ROWS}


def test_a_table_of_this_release_can_be_changed_in_any_way() -> None:
    fields: Fields = [("id", models.BigAutoField(primary_key=True)), ("url", models.TextField())]

    assert (
        kinds_of(
            migrations.CreateModel("New", fields),
            migrations.AddField("new", "number", models.PositiveIntegerField(default=0, unique=True)),
            migrations.AddIndex("new", models.Index(fields=["url"], name="hooks_new_url")),
            migrations.RemoveField("new", "url"),
            sql("UPDATE hooks_new SET number = 2; CREATE INDEX a ON hooks_new (number)"),
            migrations.DeleteModel("New"),
        )
        == set()
    )


def test_a_column_of_this_release_can_be_removed() -> None:
    assert kinds_of(field(models.IntegerField(null=True)), migrations.RemoveField("hook", "note")) == set()


def test_a_constraint_is_checked_in_a_transaction_of_its_own() -> None:
    both = [AddConstraintNotValid("hook", CHECK), ValidateConstraint("hook", CHECK.name)]

    assert kinds_of(*both) == {Kind.VALIDATION}
    assert kinds_of(*both, atomic=False) == set()


def test_each_table_is_changed_in_a_transaction_of_its_own() -> None:
    other = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])
    to_hook = models.ForeignKey("hooks.Hook", models.CASCADE, null=True, db_index=False)
    note = models.TextField(null=True)
    state = ProjectState()
    fields: Fields = [("id", models.BigAutoField(primary_key=True))]
    for name in ("Hook", "Attempt"):
        state.add_model(ModelState("hooks", name, fields))

    def tables(*operations: Operation) -> set[str]:
        sample = type("Migration", (migrations.Migration,), {"operations": list(operations)})
        return locked_tables(sample("9999_sample", "hooks"), state, tables_of(state))

    both = {"hooks_hook", "hooks_attempt"}
    assert tables(other, migrations.AddField("other", "note", note), field(note)) == {"hooks_hook"}
    assert tables(migrations.AddField("attempt", "hook", to_hook)) == both
    assert tables(field(note), sql("ALTER TABLE hooks_attempt ADD COLUMN a int")) == both
    assert (
        tables(
            migrations.AddConstraint("attempt", models.CheckConstraint(condition=models.Q(id=1), name="a")),
            field(note),
        )
        == both
    )
    assert tables(migrations.AlterModelOptions("attempt", {"verbose_name": "try"}), field(note)) == {
        "hooks_hook"
    }
    one = type(
        "Migration",
        (migrations.Migration,),
        {"operations": [migrations.AddField("attempt", "hook", to_hook)]},
    )
    [problem] = problems_of(one("9999_sample", "hooks"), state.clone(), tables_of(state))
    assert problem.kind == Kind.TABLES


def test_our_migrations_after_the_last_release_pass() -> None:
    loader = MigrationLoader(None)

    problems = later_migrations.find_problems(loader, releases.last_released())

    assert later_migrations.report(problems) == []


def test_the_upgrade_from_0_1_0_needs_a_stop() -> None:
    first, *later = json.loads(releases.RECORD.read_text()).items()
    assert first[0] == "0.1.0"
    assert later[0][0] == "0.2.0"

    found = later_migrations.find_problems(MigrationLoader(None), first[1])

    assert {"hooks.0020_several_endpoints", "instances.0019_unique_digests"} <= {
        one.migration for one in found
    }
    assert "drops or renames the column instances_instance.load_test, which the last release uses" in (
        one.what for one in found
    )


def test_a_problem_says_what_is_wrong_and_what_to_do_and_can_be_allowed() -> None:
    problem = Problem("hooks.9999_sample", Kind.REQUIRED, "adds the column hooks_hook.note")

    assert later_migrations.report([problem], {}) == [
        "hooks.9999_sample adds the column hooks_hook.note. Instead: give it a constant db_default, or allow NULL."
    ]
    reason = {("hooks.9999_sample", Kind.REQUIRED): "ten rows on every site"}
    assert later_migrations.report([problem], reason) == []
    assert later_migrations.report([], reason) == ["hooks.9999_sample: REQUIRED is allowed, but not used"]
