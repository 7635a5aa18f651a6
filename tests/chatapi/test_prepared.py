"""Prepared statements: one plan per connection, part of the transaction, and the same objects as the ORM's."""

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, User
from chatapi.database import prepared
from instances.actions.messages import receive_message
from instances.models import Chat, Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
ADD = "SELECT %s::int + 40"


class Cancelled(Exception):
    pass


def plans(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement = %s", [text])
        return int(cursor.fetchone()[0])


def test_a_statement_is_prepared_once_per_connection() -> None:
    assert [prepared.fetch_one(ADD, [number]) for number in (1, 2)] == [(41,), (42,)]
    assert plans("SELECT $1::int + 40") == 1


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT 1", b"SELECT 1", ()),
        ("SELECT %s::int, %s::text", b"SELECT $1::int, $2::text", ()),
        ("SELECT %(b)s::int, %(a)s::int + %(b)s", b"SELECT $1::int, $2::int + $1", ("b", "a")),
        ("SELECT 'é' LIKE '%%é' AND %s", "SELECT 'é' LIKE '%é' AND $1".encode(), ()),
    ],
)
def test_placeholders_are_numbered(sql: str, text: bytes, names: tuple[str, ...]) -> None:
    assert prepared.number_placeholders(sql) == (text, names)


@pytest.mark.parametrize("sql", ["SELECT %s, %(a)s", "SELECT 5 % 2", "SELECT %d", "SELECT %(a)d"])
def test_other_placeholders_are_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="A statement has"):
        prepared.number_placeholders(sql)


def test_a_long_statement_with_many_parameters_is_executed() -> None:
    names = [f"value_{number}" for number in range(60)]
    sql = " + ".join(f"%({name})s::int" for name in names)
    assert prepared.fetch_one(f"SELECT {sql} + {sql}", dict.fromkeys(names, 1)) == (120,)


def test_django_s_own_statements_are_not_prepared() -> None:
    prepared.fetch_one(ADD, [1])
    assert not User.objects.filter(pk=4711).exists()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", ["%accounts_user%"]
        )
        assert cursor.fetchone() == (0,)


def test_a_rollback_undoes_what_a_statement_wrote() -> None:
    instance = InstanceFactory()
    with pytest.raises(Cancelled), transaction.atomic():
        prepared.fetch_all(
            "UPDATE instances_instance SET name = %s WHERE id = %s RETURNING id", ["x", instance.pk]
        )
        raise Cancelled
    assert Instance.objects.get().name == instance.name


def test_a_statement_is_prepared_again_after_a_migration() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE changed (id int) ON COMMIT DROP; INSERT INTO changed VALUES (7)"
        )
    sql = "SELECT id FROM changed WHERE id = %s::int"
    assert prepared.fetch_one(sql, [7]) == (7,)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE changed ADD COLUMN other text NOT NULL DEFAULT ''")
        cursor.execute("CREATE INDEX ON changed (id)")
    assert prepared.fetch_one(sql, [7]) == (7,)


def test_counted_queries_show_their_values() -> None:
    with CaptureQueriesContext(connection) as captured:
        assert prepared.fetch_one(ADD, [2]) == (42,)
    assert [query["sql"] for query in captured] == ["SELECT 2::int + 40"]


@pytest.mark.parametrize("model", [Instance, Chat, Account, User])
def test_a_row_is_the_orm_s_object(model: type[models.Model]) -> None:
    receive_message(InstanceFactory(), sender="17680561234", sender_name="Anna", body="hello")
    expected = model._default_manager.get()
    row = prepared.ModelRow(model, "row")
    values = prepared.fetch_one(f"SELECT {row.columns} FROM {model._meta.db_table} AS row", [])
    assert values is not None
    found = row.build(values)
    assert found == expected
    assert not found._state.adding
    for field in model._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(expected, field.attname), field
