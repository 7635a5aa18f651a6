"""A part that ends soon after each start is restarted after pauses that grow, but it is never away for long."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from chatapi.runtime import processes
from chatapi.runtime.processes import Part


def test_the_pauses_grow_up_to_ten_seconds_and_end_when_it_has_run_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=lambda _: None))
    part, said = Part("It", lambda: subprocess.Popen(["false"], start_new_session=True)), list[str]()

    def end_after(seconds: float) -> None:
        assert part.process
        part.process.wait()
        clock.now += seconds
        part.restart_if_ended(said.append)

    part.start()
    for pause in (1, 2, 4, 8, 10, 10):
        end_after(5)
        assert said.pop() == f"It ended (code 1); restarting in {pause} s."
        clock.now += pause - 0.5
        part.restart_if_ended(said.append)
        assert not part.process
        clock.now += 0.5
        part.restart_if_ended(said.append)
        assert part.process
    end_after(11)
    assert said == ["It ended (code 1); restarting."]
    assert part.process
    part.process.wait()
