"""The URLs of bins, verifications and simulations under /api/v1/. chatapi/rest_urls.py serves them."""

from typing import Any

from testing_tools.api.bin_views import BinViewSet, SharesView, ShareView
from testing_tools.api.capture_views import CapturesViewSet, CaptureViewSet, NextCaptureView
from testing_tools.api.forward_views import ForwardView
from testing_tools.api.run_views import CancelRunView, RunsView, RunView, StepView
from testing_tools.api.simulation_views import SimulationKindsView, SimulationsView
from testing_tools.api.verification_views import StartView, StopView, VerificationView

bins: Any = BinViewSet.as_view({"get": "list", "post": "create"})
bin: Any = BinViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
capture: Any = CaptureViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

ROUTES = (
    ("bins", bins, "bins"),
    ("bins/<str:key>", bin, "bin"),
    ("bins/<str:key>/captures", CapturesViewSet.as_view({"get": "list"}), "bin-captures"),
    ("bins/<str:key>/captures/next", NextCaptureView.as_view(), "bin-captures-next"),
    ("bins/<str:key>/captures/clear", CapturesViewSet.as_view({"post": "clear"}), "bin-captures-clear"),
    ("bins/<str:key>/captures/forward", ForwardView.as_view(), "bin-captures-forward"),
    ("bins/<str:key>/captures/restore", CapturesViewSet.as_view({"post": "restore"}), "bin-captures-restore"),
    ("bins/<str:key>/captures/<str:captureId>", capture, "bin-capture"),
    (
        "bins/<str:key>/captures/<str:captureId>/replay",
        CaptureViewSet.as_view({"post": "replay"}),
        "bin-capture-replay",
    ),
    ("bins/<str:key>/shares", SharesView.as_view(), "bin-shares"),
    ("bins/<str:key>/shares/<str:shareId>", ShareView.as_view(), "bin-share"),
    ("instances/<str:id>/verification", VerificationView.as_view(), "verification"),
    ("instances/<str:id>/verification/start", StartView.as_view(), "verification-start"),
    ("instances/<str:id>/verification/stop", StopView.as_view(), "verification-stop"),
    ("simulations/kinds", SimulationKindsView.as_view(), "simulation-kinds"),
    ("instances/<str:id>/simulations", SimulationsView.as_view(), "simulations"),
    ("instances/<str:id>/simulation-runs", RunsView.as_view(), "simulation-runs"),
    ("instances/<str:id>/simulation-runs/<str:runId>", RunView.as_view(), "simulation-run"),
    ("instances/<str:id>/simulation-runs/<str:runId>/step", StepView.as_view(), "simulation-run-step"),
    (
        "instances/<str:id>/simulation-runs/<str:runId>/cancel",
        CancelRunView.as_view(),
        "simulation-run-cancel",
    ),
)
