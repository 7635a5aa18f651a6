"""The parts of the bench that need no server: the table of the peers, and the page that they are written into."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.bench import compiled_peers, report
from tests.bench.compiled_peers import PEERS, Line, best, build, latencies, shown, table

RATE = Line("rate", "deliveries/s", "{:,.0f}", higher_is_better=True)
P99 = Line("p99", "p99 ms", "{:.1f}")
LEFT = Line("left", "not sent after 10 s", "{:,.0f}")


def test_table_relates_each_figure_to_the_first_sender() -> None:
    figures = {"Chat API": {"rate": 8000.0, "p99": 4.0}, "Peer": {"rate": 2000.0, "p99": 2.0}}
    assert table(figures, [RATE, P99]).splitlines() == [
        "| what | **Chat API** | Peer |",
        "| --- | ---: | ---: |",
        "| deliveries/s | 8,000 | 2,000 (0.25 ×) |",
        "| p99 ms | 4.0 | 2.0 (0.50 ×) |",
    ]


def test_a_figure_without_a_ratio() -> None:
    assert shown(2700, 0, LEFT) == "2,700"
    assert shown(0, 3, LEFT) == "0"


def test_waiting_that_the_bench_ended_is_a_lower_bound() -> None:
    assert shown(60.2, 1.0, Line("healthy", "seconds", "{:.1f}")) == "more than 60 (60.20 ×)"


def test_best_takes_each_figure_from_its_best_round() -> None:
    rounds = [{"rate": 10.0, "p99": 5.0}, {"rate": 12.0, "p99": 7.0}]
    assert best(rounds, [RATE, P99]) == {"rate": 12.0, "p99": 5.0}


def test_latencies_count_only_the_emitted_hooks() -> None:
    committed = {("/0", number): 1_000_000 * number for number in range(100)}
    arrivals = [["/0", number, 1_000_000 * (2 * number + 1)] for number in range(100)]
    assert latencies(committed, [["/9", 5, 7], *arrivals]) == {"p50": 51.0, "p99": 100.0}


def test_latencies_of_hooks_that_did_not_arrive() -> None:
    with pytest.raises(RuntimeError, match="1 of 2 hooks"):
        latencies({("/0", 1): 0, ("/0", 2): 0}, [["/0", 1, 5]])


def test_peer_whose_tool_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiled_peers, "BUILDS", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert {peer.tool for peer in PEERS} == {"go", "cargo"}
    for peer in PEERS:
        with pytest.raises(compiled_peers.NotAvailable, match=f"`{peer.tool}` is not installed"):
            build(peer)
    text = compiled_peers.measure(1, 100)
    assert text == "\n".join(
        f"{peer.name} was not measured: `{peer.tool}` is not installed." for peer in PEERS
    )


def test_build_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiled_peers, "BUILDS", tmp_path)
    peer = compiled_peers.Peer(
        "Peer 1", "", "golang", ("sh", "-c", "echo no such version >&2; exit 1"), "program", ""
    )
    with pytest.raises(compiled_peers.NotAvailable, match="could not be built \\(no such version\\)"):
        build(peer)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_sources_pin_the_version_that_the_page_names(peer: compiled_peers.Peer) -> None:
    version = peer.name.split()[1]
    pins = compiled_peers.SOURCES / peer.folder / {"go": "go.mod", "cargo": "Cargo.toml"}[peer.tool]
    name = peer.name.split()[0].lower()
    pattern = rf"{name}( v| = \"=){re.escape(version)}\b"
    assert re.search(pattern, pins.read_text())


def test_hand_written_sections_stay_when_the_page_is_written() -> None:
    before = "# Page\n\nold\n\n## Requirements\n\nold\n\n## Storage\n\nkept\n\n## How to read it\n\nold\n"
    page = "# Page\n\nnew\n\n## Requirements\n\nnew\n\n## How to read it\n\nnew\n"
    assert report.with_other_sections(page, before) == (
        "# Page\n\nnew\n\n## Requirements\n\nnew\n\n## Storage\n\nkept\n\n## How to read it\n\nnew\n"
    )


def test_page_has_the_place_of_the_measured_table() -> None:
    page = (report.DOCS / "performance.md").read_text()
    written = report.with_measured(page, compiled_peers.NAME, "the table")
    assert "-->\n\nthe table\n\n<!--" in written
    assert report.with_measured(written, compiled_peers.NAME, "the table") == written
    with pytest.raises(ValueError, match="lacks <!-- measured: other -->"):
        report.with_measured(page, "other", "")
