"""Serves chatapi/listen.py, so that users need nothing else of this project to forward hooks to their computer."""

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

PROGRAM = Path(__file__).parent / "listen.py"


@require_safe
@cache_control(public=True, max_age=3600)
def download(request: HttpRequest) -> HttpResponse:
    """The program as text."""
    return HttpResponse(PROGRAM.read_bytes(), content_type="text/x-python; charset=utf-8")
