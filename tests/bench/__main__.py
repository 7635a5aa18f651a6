"""Measures Chat API and its peers in one run: `make bench`, or `python -m tests.bench [--quick] [--rounds 3]`.

Every figure is the best of its rounds: other load on the machine can only make it worse. Each round measures all rows
in turn, so that a busy minute does not affect only one of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.bench import (
    commits,
    compiled_peers,
    contract,
    django_webhook,
    messengers,
    million,
    peers,
    report,
    scenarios,
    sending,
    slow_clients,
)
from tests.bench.environment import bench_database
from tests.bench.report import Requirement, Row

DeliveryCounts = dict[str, float]


def best(found: list[DeliveryCounts], key: str = "rate") -> DeliveryCounts:
    return max(found, key=lambda one: one[key])


def least(values: list[float]) -> float:
    return min(values)


def rates(hooks: int, rounds: int) -> tuple[list[Row], list[str], list[DeliveryCounts]]:
    """Returns the first table, its notes, and the figures of the two backlogs."""
    ways: dict[str, Callable[[], DeliveryCounts]] = {
        "ours": lambda: scenarios.backlog(hooks, parallel=True),
        "ordered": lambda: scenarios.backlog(hooks, parallel=False, delay=20),
        "curl": lambda: peers.measure("curl", hooks),
        "requests": lambda: peers.measure("requests", hooks // 5),
        "peer": lambda: django_webhook.measure(hooks // 20 if hooks > 10_000 else 300),
    }
    found: dict[str, list[DeliveryCounts]] = {way: [] for way in ways}
    notes = []
    for number in range(rounds):
        for way, measure in ways.items():
            say(f"round {number + 1} of {rounds}: {way}")
            try:
                found[way].append(measure())
            except django_webhook.NotAvailable as why:
                notes = [f"django-webhook with Celery and Redis was not measured: {why}."]
    names = {
        "ours": "Chat API, parallel",
        "ordered": "Chat API, ordered, endpoint responds in 20 ms",
        "curl": "a bare CurlMulti loop, the upper limit",
        "requests": "a plain loop of requests",
        "peer": "django-webhook, Celery and Redis",
    }
    rows = []
    for way, figures in found.items():
        if figures:
            top = best(figures)
            rows.append(
                Row(
                    names[way], top["rate"], top["cpu"], top["memory"],
                    ours=way in ("ours", "ordered"), stores=way not in ("curl", "requests"),
                )
            )  # fmt: skip
    cost = min(one["receiver_cpu"] for one in found["curl"])
    notes.append(
        f"The receiver needs {cost * 1000:.0f} µs of CPU per request, so it could handle {1000 / cost:,.0f}/s on a "
        "core of its own: it does not limit Chat API."
    )
    split = best(found["ours"])
    notes.append(
        f"For each delivery of Chat API, the dispatcher needs {split['sender_cpu'] * 1000:.0f} µs of CPU, PostgreSQL "
        f"{split['database_cpu'] * 1000:.0f} µs and the receiver {split['receiver_cpu'] * 1000:.0f} µs; the bare loop "
        f"with its receiver needs {best(found['curl'])['cpu'] * 1000:.0f} µs. The difference is the cost of claiming "
        "and recording."
    )
    return rows, notes, [best(found["ours"]), best(found["ordered"])]


def requirements(backlogs: list[DeliveryCounts], *, quick: bool, rounds: int) -> list[Requirement]:
    parallel, ordered = backlogs
    seconds = 3.0 if quick else 10.0
    flood, waiting = (20_000, 100_000) if quick else (100_000, 1_000_000)
    found = [
        Requirement(
            "backlog of 100 instances, parallel",
            f"{parallel['rate']:,.0f}/s",
            "≥ 5 000/s",
            parallel["rate"] >= 5000,
        ),
        Requirement(
            "the same, ordered, endpoint responds in 20 ms",
            f"{ordered['rate']:,.0f}/s, {ordered['inversions']:.0f} inversions",
            "≥ 3 000/s, 0 inversions",
            ordered["rate"] >= 3000 and not ordered["inversions"],
        ),
    ]
    for rate in (100, 400):
        say(f"wake-up at {rate}/s")
        top = min((scenarios.wake_up(rate, seconds) for _ in range(rounds)), key=lambda one: one["p99"])
        found.append(
            Requirement(
                f"from commit to request, {rate} events/s",
                f"p50 {top['p50']:.1f} ms, p99 {top['p99']:.1f} ms",
                "p50 ≤ 10 ms, p99 ≤ 50 ms",
                top["p50"] <= 10 and top["p99"] <= 50,
            )
        )
    found += event_commits(seconds, rounds)
    calm, hang, flooded = [], [], []
    for number in range(rounds):
        say(f"isolation, round {number + 1} of {rounds}")
        calm.append(scenarios.isolation("", 200, seconds))
        hang.append(scenarios.isolation("hang", 200, seconds))
        flooded.append(scenarios.isolation("flood", 200, seconds, flood))
    for what, values, most in (
        ("10 % of the endpoints hang: p99 of the others", hang, 1.5),
        (f"one lane has {flood:,} hooks waiting: p99 of the others", flooded, 1.2),
    ):
        ratio = least(values) / least(calm)
        found.append(
            Requirement(
                what,
                f"{least(values):.1f} ms, {ratio:.2f} × the undisturbed {least(calm):.1f} ms",
                f"≤ {most} ×",
                ratio <= most,
            )
        )
    old = 100_000 if quick else 1_000_000
    say(f"dropping a partition of {old:,} hooks")
    drops = [scenarios.dropped_partition(old, 200, seconds) for _ in range(rounds)]
    drop = min(drops, key=lambda one: one["disturbed"] / one["calm"])
    ratio = drop["disturbed"] / drop["calm"]
    found.append(
        Requirement(
            f"dropping a partition of {old:,} hooks and attempts: time, and p99 of the others",
            f"{drop['seconds']:.2f} s, {drop['disturbed']:.1f} ms, "
            f"{ratio:.2f} × the undisturbed {drop['calm']:.1f} ms",
            "≤ 1 s, ≤ 1.2 ×",
            drop["seconds"] <= 1 and ratio <= 1.2,
        )
    )
    burst, rest = (3_000, 5.0) if quick else (10_000, 35.0)
    say(f"bursts of {burst:,} hooks, one after a rest of {rest:.0f} s")
    burst_figures = [scenarios.bursts(burst, rest, flood, 200, seconds) for _ in range(rounds)]
    top = max(burst_figures, key=lambda one: one["later"] / one["first"])
    found.append(
        Requirement(
            f"the second burst of {burst:,} hooks, and the third after a rest of {rest:.0f} s",
            f"{top['later']:,.0f}/s, {top['later'] / top['first']:.2f} × the first burst",
            "≥ 0.8 ×",
            top["later"] >= 0.8 * top["first"],
        )
    )
    top = min(burst_figures, key=lambda one: one["flooded"] / one["calm"])
    found.append(
        Requirement(
            f"then {flood:,} hooks for one instance: p99 of the others",
            f"{top['flooded']:.1f} ms, {top['flooded'] / top['calm']:.2f} × the undisturbed {top['calm']:.1f} ms",
            "≤ 1.2 ×",
            top["flooded"] <= 1.2 * top["calm"],
        )
    )
    for guaranteed in (False, True):
        how = "with" if guaranteed else "without"
        say(f"ten turns of a bot, {how} guaranteedHooks")
        turns = scenarios.bot_turns(10, guaranteed=guaranteed)
        found.append(
            Requirement(
                f"a bot that never responds to hooks of its own messages, 10 turns, {how} guaranteedHooks",
                f"{', '.join(f'{turn:.2f}' for turn in turns)} s",
                "each ≤ 2.5 s",
                max(turns) <= 2.5,
            )
        )
    say("kill -9 of the dispatcher at full speed")
    doubled = max(scenarios.sent_twice(2_000 if quick else 10_000) for _ in range(rounds))
    found.append(
        Requirement(
            "hooks sent twice after kill -9 of the dispatcher at full speed",
            f"{doubled}",
            "≤ 300",
            doubled <= 300,
        )
    )
    say("1 000 slow clients of the web server")
    slow = min(
        (slow_clients.measure(1000, seconds) for _ in range(rounds)),
        key=lambda one: one["slow"] / one["calm"],
    )
    found.append(
        Requirement(
            "1 000 clients send slowly: p99 of the others' calls",
            f"{slow['slow']:.1f} ms, {slow['slow'] / slow['calm']:.2f} × the undisturbed {slow['calm']:.1f} ms",
            "≤ 2 ×",
            slow["slow"] <= 2 * slow["calm"],
        )
    )
    say(f"memory with {waiting:,} hooks waiting")
    memory = scenarios.in_flight(waiting, 3 if quick else 12)
    found.append(
        Requirement(
            f"the dispatcher's memory, {memory['hanging']:,.0f} in flight, {waiting:,} waiting",
            f"{memory['pss']:.0f} MB ({memory['resident']:.0f} MB with all shared libraries)",
            "≤ 80 MB",
            memory["pss"] <= 80,
        )
    )
    found += sending_figures(seconds, rounds, quick=quick)
    say("sends over the doubles of messengers")
    found += messengers.sending_figures(seconds)
    found += many_instances(20.0 if quick else 60.0, rounds)
    found += wire_contract(seconds, rounds, many=100_000 if quick else 1_000_000)
    if not quick:
        found += [log_filters(), pages(), *kill_pauses(rounds)]
    return found


def sending_figures(seconds: float, rounds: int, *, quick: bool) -> list[Requirement]:
    """Messages to a messenger that takes 100 ms, all with their acks and hooks written."""
    instances = 200 if quick else 1000
    found = []
    for what, number, each, chats, least_rate in (
        (f"sends of {instances:,} instances", instances, 10, 5, 1000),
        ("sends of one number", 1, 400, 100, 80),
    ):
        say(what)
        top = best([sending.rate(number, each, chats=chats) for _ in range(rounds)])
        found.append(
            Requirement(
                f"{what}, messenger of 100 ms",
                f"{top['rate']:,.0f}/s; per message, the sender needs {top['sender_cpu'] * 1000:.0f} µs of CPU and "
                f"PostgreSQL {top['database_cpu'] * 1000:.0f} µs; {top['memory']:.0f} MB",
                f"≥ {least_rate:,}/s".replace(",", " "),
                top["rate"] >= least_rate,
            )
        )
    say("sends beside a messenger that hangs")
    calm = least([sending.isolation(hanging=False, per_second=100, seconds=seconds) for _ in range(rounds)])
    beside = least([sending.isolation(hanging=True, per_second=100, seconds=seconds) for _ in range(rounds)])
    sending.forget()
    found.append(
        Requirement(
            "a messenger hangs: p99 of the others, from accepted to written",
            f"{beside:.0f} ms, {beside / calm:.2f} × the undisturbed {calm:.0f} ms",
            "≤ 1.2 ×",
            beside <= 1.2 * calm,
        )
    )
    return found


def event_commits(seconds: float, rounds: int) -> list[Requirement]:
    """Commits of events where a commit takes long, and the same with NOTIFY in the transaction."""
    found = []
    for where, what, least_rate in (
        ("flush", "a flush of 4 ms", 3000),
        ("standby", "a synchronous standby of 1 ms", 2000),
    ):
        say(f"commits with {what}")
        try:
            one = commits.measure(where, seconds, rounds)
        except commits.NotAvailable as why:
            say(f"not measured: {why}")
            continue
        found.append(
            Requirement(
                f"event commits, 32 clients, {what}",
                f"{one['now']:,.0f}/s, {one['now'] / one['before']:.1f} × NOTIFY in the transaction "
                f"({one['before']:,.0f}/s), CPU {one['cpu']:.2f} s per 1 000; the same statements by pgbench: "
                f"{one['pg_now']:,.0f}/s, {one['pg_now'] / one['pg_before']:.1f} × ({one['pg_before']:,.0f}/s)",
                f"≥ {least_rate:,}/s".replace(",", " "),
                one["now"] >= least_rate,
            )
        )
    return found


def many_instances(seconds: float, rounds: int) -> list[Requirement]:
    """The same events per second for 100 instances, and for 10 000 of 100 000."""
    from tests.bench import many_instances as bench

    few, many = bench.compare(bench.MANY, seconds, rounds)
    million.empty()
    what = f"{bench.MANY:,} instances, {bench.ACTIVE:,} active in a minute, against {bench.FEW}"
    return [
        Requirement(
            f"{what}: p99 from commit to request",
            f"{many.p99:.1f} ms, {many.p99 / few.p99:.2f} × the {few.p99:.1f} ms",
            "≤ 1.2 ×",
            many.p99 <= 1.2 * few.p99,
        ),
        Requirement(
            "the same: CPU of dispatcher and PostgreSQL per hook",
            f"{many.cpu:.0f} µs, {many.cpu / few.cpu:.2f} × the {few.cpu:.0f} µs",
            "≤ 1.2 ×",
            many.cpu <= 1.2 * few.cpu,
        ),
    ]


def wire_contract(seconds: float, rounds: int, *, many: int) -> list[Requirement]:
    """Calls of the wire contract and REST, through the web server; the worker processes the queues of sendMessage."""
    found = []
    for count in (10, 1):
        say(f"sendMessage over {count} instances")
        top = best(
            [contract.send_message(count, seconds, 0.0 if count > 1 else 550.0) for _ in range(rounds)]
        )
        found.append(
            Requirement(
                f"sendMessage, {count} instances at full speed" if count > 1 else "sendMessage, one instance",
                f"{top['rate']:,.0f}/s, CPU {top['cpu']:.1f} ms and PostgreSQL {top['database_cpu']:.1f} ms per call",
                "≥ 1 700/s" if count > 1 else "≥ 500/s",
                top["rate"] >= (1700 if count > 1 else 500),
            )
        )
    for count in (10, 1):
        say(f"messages of contacts over REST to {count} instances")
        top = best([contract.contact_message(count, seconds) for _ in range(rounds)])
        found.append(
            Requirement(
                f"a contact's message over REST, {'one instance' if count == 1 else f'{count} instances'}",
                f"{top['rate']:,.0f}/s, CPU {top['cpu']:.1f} ms and PostgreSQL {top['database_cpu']:.1f} ms per call",
                "≥ 1 700/s",
                top["rate"] >= 1700,
            )
        )
    pages = {}
    for count in (1000, many):
        say(f"messages of {count:,}")
        pages[count] = best([contract.messages(count, seconds) for _ in range(rounds)])
    few, lots = pages[1000], pages[many]
    found.append(
        Requirement(
            "messages, 100 per call by lastMessageNumber",
            f"{few['rate']:,.0f}/s, CPU {few['cpu']:.1f} ms and PostgreSQL {few['database_cpu']:.1f} ms per call",
            "≥ 1 000/s",
            few["rate"] >= 1000,
        )
    )
    ratio = (lots["cpu"] + lots["database_cpu"]) / (few["cpu"] + few["database_cpu"])
    found.append(
        Requirement(
            f"the same with {many:,} messages instead of 1,000",
            f"{lots['rate']:,.0f}/s, {ratio:.2f} × the CPU",
            "≤ 1.2 ×",
            ratio <= 1.2,
        )
    )
    return found


def log_filters() -> Requirement:
    from tests.bench import log_filters

    say("the log's filters")
    scenarios.empty()
    slowest, milliseconds = max(log_filters.measure(), key=lambda one: one[1])
    return Requirement(
        "delivery log with any filter, 1 million attempts, p95 of the complete page",
        f"{milliseconds:.0f} ms (slowest: {slowest})",
        "≤ 100 ms",
        milliseconds <= 100,
    )


def pages() -> Requirement:
    from tests.bench import pages

    say("the pages")
    scenarios.empty()
    slowest, milliseconds = max(pages.measure(), key=lambda one: one[1])
    return Requirement(
        "every page, 1 million hooks, p95 of the server's time",
        f"{milliseconds:.0f} ms (slowest: {slowest})",
        "≤ 100 ms",
        milliseconds <= 100,
    )


def kill_pauses(rounds: int) -> list[Requirement]:
    """Kills each process of the running product, in each round."""
    from tests.bench import kills

    say("kill -9 of each process")
    pauses = {
        name: min(max(both) for both in of_rounds) for name, of_rounds in kills.measure([], rounds).items()
    }
    database = pauses.pop("database")
    slowest = max(pauses, key=lambda name: pauses[name])
    return [
        Requirement(
            f"kill -9 of one process ({', '.join(pauses)}), until the next request",
            f"{pauses[slowest]:.1f} s (slowest: {slowest}); dispatcher {pauses['dispatcher']:.1f} s",
            "≤ 3 s",
            pauses[slowest] <= 3,
        ),
        Requirement("the same for PostgreSQL", f"{database:.1f} s", "≤ 15 s", database <= 15),
    ]


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="finish in two minutes; do not write docs/performance.md",
    )
    parser.add_argument(
        "--rounds", type=int, help="number of rounds of which the best counts (default 3, quick 1)"
    )
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    with bench_database():
        rows, notes, backlogs = rates(10_000 if options.quick else 20_000, rounds)
        found = requirements(backlogs, quick=options.quick, rounds=rounds)
        if options.quick:
            print(report.tables(rows, found, notes))
            return
        print(report.write(rows, found, notes, f"Each figure is the best of {rounds} rounds."))
        beside = compiled_peers.measure(rounds, 20_000)
    report.replace_measured(compiled_peers.NAME, beside)
    print(f"\n{beside}")


if __name__ == "__main__":
    main()
