"""A million hooks with an attempt each, inserted by generate_series in seconds, to test plans and filters with.

Half of them belong to one busy instance of alice's; the rest is spread over 200 others, half of these alice's too.
They are spread over 30 days, oldest first. Most are delivered. The busy instance also has about three each of the rare
responses, hosts, kinds and states, because a filter that finds little has the most to search.

At scale there are more: fill(20_000_000, busy_every=20, idle=100_000) takes half an hour and 20 GB. The busy instance
has a million of these hooks, the 200 others half of the rest, and 100 000 idle instances share the other half unevenly.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper

from hooks.maintenance import new_days
from hooks.sql import partitions

OTHERS = 200
DAYS = 30
RARE = {"host": "rare.example", "message": "true_rare@c.us_1", "chat": "rare@c.us"}

# The state of a hook depends on n % 1000: 920 delivered, 40 failed, 25 skipped, 5 retrying, 9 queued, 1 cancelled.
HOOKS = """
INSERT INTO hooks_hook (id, public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated, to_url,
    trigger, attempts_made, attempts_allowed, next_attempt_at, claim, created_at, finished_at,
    last_outcome, last_status, last_host, last_ms)
SELECT {id}, uuidv7(at - clock_timestamp()), endpoint_id,
    CASE WHEN n %% 200000 = 0 THEN 'status' WHEN n %% 250000 = 0 THEN 'chat'
         WHEN n %% 4 < 2 THEN 'message' ELSE 'ack' END,
    '{{"messages":[]}}'::bytea,
    CASE WHEN n %% 333334 = 0 THEN 'true_rare@c.us_1' ELSE 'true_' || n %% 5000 || '@c.us_' || n / 3 END,
    CASE WHEN n %% 333334 = 0 THEN 'rare@c.us' ELSE n %% 5000 || '@c.us' END,
    state, CASE WHEN state = 'skipped' THEN 'flag_off' ELSE '' END, n %% 100000 = 0, '', 'event',
    CASE WHEN tried THEN 1 ELSE 0 END, 20,
    CASE WHEN state = 'retrying' THEN clock_timestamp() + (n %% 7200 - 600) * interval '1 second' END,
    1, at, CASE WHEN state IN ('queued', 'retrying') THEN NULL ELSE at + interval '1 second' END,
    CASE WHEN NOT tried THEN '' WHEN state = 'delivered' THEN 'ok' WHEN n IN (100930, 400930, 700930) THEN 'redirect'
         WHEN n %% 3 = 0 THEN 'timeout' ELSE 'not_200' END,
    CASE WHEN NOT tried THEN NULL WHEN state = 'delivered' THEN 200 WHEN n IN (100930, 400930, 700930) THEN 301
         WHEN n %% 3 = 0 THEN NULL WHEN n IN (200930, 500930, 800930) THEN 204 WHEN n %% 5 = 0 THEN 404 ELSE 500 END,
    CASE WHEN NOT tried THEN '' WHEN n %% 333334 = 0 THEN 'rare.example' ELSE 'bot' || n / 2 %% 3 || '.example' END,
    CASE WHEN tried THEN 12.5 END
FROM (
    SELECT n AS place, pattern AS n, endpoint_id, state,
        clock_timestamp() - (%(hooks)s - n) * (interval '30 days' / %(hooks)s) AS at,
        state IN ('delivered', 'failed', 'retrying') AS tried
    FROM generate_series(%(first)s, %(last)s) AS n
    -- the busy instance has every nth hook, and the same pattern of hooks whatever n is
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n %% %(busy_every)s = 0 THEN 2 * (n / %(busy_every)s) ELSE n END AS pattern
    ) AS p
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n %% %(busy_every)s = 0 THEN %(busy)s
            -- by the golden ratio, cubed: a tenth of the idle instances has half of their hooks
            WHEN %(idle)s > 0 AND n %% 2 = 1
                THEN %(first_idle)s + floor(%(idle)s * power((n * 0.6180339887498949) %% 1, 3))::bigint
            ELSE (%(others)s::bigint[])[1 + (n / 2 + n / 2 / %(count)s) %% %(count)s] END AS endpoint_id
    ) AS e
    CROSS JOIN LATERAL (SELECT CASE WHEN pattern %% 1000 < 920 THEN 'delivered' WHEN pattern %% 1000 < 960 THEN 'failed'
        WHEN pattern %% 1000 < 985 THEN 'skipped' WHEN pattern %% 1000 < 990 THEN 'retrying'
        WHEN pattern %% 1000 < 999 THEN 'queued' ELSE 'cancelled' END AS state) AS s
) AS one
ORDER BY place
"""
ID = "nextval('hooks_hook_id_seq')"
# as in hooks/sql/partitions.py: the ids of the hook's day
ID_OF_DAY = f"(floor(extract(epoch FROM at) / 86400)::bigint << {partitions.DAY_BITS}) + place"
ATTEMPTS = """
INSERT INTO hooks_attempt (hook_id, number, trigger, started_at, url, address, request_headers, status,
    response_headers, response_body, response_size, outcome, side, error, total_ms)
SELECT id, 1, 'event', created_at, 'http://' || last_host || '/hook', '192.0.2.1:80', '[["Host", "bot"]]',
    last_status, '[["Server", "bot"]]', 'ok'::bytea, 2, COALESCE(NULLIF(last_outcome, ''), 'ok'), '', '', 12.5
FROM hooks_hook ORDER BY id
"""
MINUTE_COUNTS = """
INSERT INTO hooks_minutecount (endpoint_id, minute, delivered, failed)
SELECT endpoint_id, date_trunc('minute', uuid_extract_timestamp(public_id)),
    count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'failed')
FROM hooks_hook WHERE state IN ('delivered', 'failed') GROUP BY 1, 2 ORDER BY 2, 1
"""
# Copies of one instance with its rows, for an account of their own. Their tokens and secrets cannot be decrypted.
IDLE_INSTANCES = """
INSERT INTO instances_instance ({columns}, number, token_digest)
SELECT {columns}, 100000000 + n, md5(n::text) || md5('idle' || n)
FROM instances_instance CROSS JOIN generate_series(1, %(idle)s) AS n WHERE id = %(template)s
RETURNING id
"""
COPIES = """
INSERT INTO {table} ({key}, {columns}) SELECT i.id, {values}
FROM {table} t CROSS JOIN instances_instance i WHERE t.{key} = %(template)s AND i.id >= %(first)s
"""
PORTION = 2_000_000  # hooks inserted by one statement


class Million(NamedTuple):
    """Keys of alice (`owner`), of her instances `busy` and `hers`, and of bob's instances."""

    owner: int
    busy: int
    hers: list[int]
    bobs: list[int]


def fill(hooks: int = 1_000_000, *, busy_every: int = 2, idle: int = 0, by_day: bool = False) -> Million:
    """Fills an empty database, in about half a minute for a million hooks. Call empty() at the end.

    `busy_every`: the busy instance has each hook whose number is a multiple of it; even. `idle`: the number of idle
    instances, in an account of their own. `by_day`: hooks are in the partitions of their days, which stay; without
    it, all are in today's.
    """
    from accounts.actions.users import sign_up
    from hooks.models import Endpoint
    from instances.actions.lifecycle import create_instance

    alice, bob = (
        sign_up("alice@million.example", password=None),
        sign_up("bob@million.example", password=None),
    )
    busy = create_instance(alice).pk
    hers = [create_instance(alice).pk for _ in range(OTHERS // 2)]
    bobs = [create_instance(bob).pk for _ in range(OTHERS // 2)]
    others = [key for pair in zip(hers, bobs, strict=True) for key in pair]
    Endpoint.objects.update(url="http://bot.example/hook")
    first_idle = 0
    if idle:
        carol = sign_up("carol@million.example", password=None)
        template = create_instance(carol).pk
        Endpoint.objects.filter(pk=template).update(url="http://bot.example/hook")
        first_idle = copy_instance(template, idle)
    with connection.cursor() as cursor:
        if by_day:
            make_past_days(cursor)
        definitions = drop_indexes(cursor)
        for first in range(1, hooks + 1, PORTION):
            cursor.execute(
                HOOKS.format(id=ID_OF_DAY if by_day else ID),
                {
                    "busy": busy, "others": others, "count": OTHERS, "hooks": hooks, "busy_every": busy_every,
                    "idle": idle, "first_idle": first_idle, "first": first, "last": min(first + PORTION - 1, hooks),
                },
            )  # fmt: skip
        cursor.execute(ATTEMPTS)
        cursor.execute(MINUTE_COUNTS)
        cursor.execute("UPDATE hooks_countingstart SET at = clock_timestamp() - interval '31 days'")
        for definition in definitions:
            cursor.execute(definition)
        cursor.execute("TRUNCATE hooks_emittedcount")
        cursor.execute(
            "UPDATE hooks_tally t SET emitted = counted.number FROM ("
            "SELECT endpoint_id, count(*) AS number FROM hooks_hook GROUP BY endpoint_id"
            ") AS counted WHERE counted.endpoint_id = t.endpoint_id"
        )
        cursor.execute(
            "VACUUM ANALYZE hooks_hook, hooks_attempt, hooks_minutecount, hooks_endpoint, hooks_lane, hooks_tally,"
            " instances_instance"
        )
    return Million(alice.owner_id, busy, hers, bobs)


def make_past_days(cursor: CursorWrapper) -> None:
    """Makes partitions for the days that get hooks, as long as the product's; none if they are there."""
    first = partitions.existing(cursor)[0]
    day = partitions.EPOCH + timedelta(days=first.start >> partitions.DAY_BITS)
    while day >= partitions.today() - timedelta(days=DAYS):
        day, end = day - timedelta(days=new_days.length()), day
        partitions.make(cursor, day, end)


def copy_instance(template: int, copies: int) -> int:
    """Copies an instance with its endpoint, lane, tally and queue; returns the key of the first copy."""
    from hooks.models import Endpoint, Lane, Tally
    from instances.models import Instance, OutgoingQueue

    with connection.cursor() as cursor:
        own = {"id", "number", "token_digest"}
        columns = ", ".join(
            str(field.column) for field in Instance._meta.concrete_fields if field.column not in own
        )
        cursor.execute(IDLE_INSTANCES.format(columns=columns), {"idle": copies, "template": template})
        first: int = min(row[0] for row in cursor.fetchall())
        for model in (Endpoint, Lane, Tally, OutgoingQueue):
            names = [
                str(field.column)
                for field in model._meta.concrete_fields
                if not field.primary_key and not field.generated
            ]
            # the first endpoint of an instance has the instance's key
            values = ["i.id" if name in ("instance_id", "first_of_id") else f"t.{name}" for name in names]
            cursor.execute(
                COPIES.format(
                    table=model._meta.db_table,
                    key=model._meta.pk.column,
                    columns=", ".join(names),
                    values=", ".join(values),
                ),
                {"template": template, "first": first},
            )
    return first


def drop_indexes(cursor: CursorWrapper) -> list[str]:
    """Drops the indexes of both tables before the bulk insert; returns the statements that create them again."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('hooks_hook', 'hooks_attempt')"
        " AND indexname NOT LIKE '%%_pkey' AND indexname NOT LIKE '%%_key'"
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition.replace(" ON ONLY ", " ON ") for _, definition in found]


def empty() -> None:
    """Deletes what fill() inserted, and all other rows of these tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE accounts_user, hooks_hook, hooks_measure, hooks_attempt, hooks_minutecount CASCADE"
        )
