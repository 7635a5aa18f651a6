"""The models of all tools, in the module where Django looks for them. Migrations import their defaults from here."""

from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep
from testing_tools.verification.models import (
    DEFAULT_BODY,
    Bin,
    Capture,
    Family,
    Share,
    default_response_headers,
    new_capture_id,
    new_key,
)

answer_headers = default_response_headers  # its name in migration 0002

__all__ = [
    "DEFAULT_BODY",
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
