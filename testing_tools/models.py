"""The models of every tool, in one module, where Django looks for them; migrations import their defaults from here."""

from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep
from testing_tools.verification.models import (
    ANSWER_BODY,
    Bin,
    Capture,
    Family,
    Share,
    answer_headers,
    new_capture_id,
    new_key,
)

__all__ = [
    "ANSWER_BODY",
    "Bin",
    "Capture",
    "Family",
    "Plan",
    "RunState",
    "Share",
    "SimulationRun",
    "SimulationStep",
    "answer_headers",
    "new_capture_id",
    "new_key",
]
