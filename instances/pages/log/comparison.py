"""The differences between two attempts of a hook."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from chatapi.ui.text_diff import Diff, compare
from hooks.models import Attempt
from instances.pages.log.attempts import read_response, verdict_look
from instances.pages.log.hook_views import shown_hook


@require_safe
@login_required
def comparison(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Compares the attempt `?attempt=` with `?with=`; by default the last one with the one before it."""
    hook = shown_hook(request, public_id)
    attempts = {attempt.number: attempt for attempt in hook.attempts.order_by("number", "id")}
    if len(attempts) < 2:
        raise Http404("The hook has fewer than two attempts.")
    numbers = list(attempts)
    new = attempt_number(request, "attempt", numbers, default=numbers[-1])
    before = max((number for number in numbers if number < new), default=numbers[-1])
    old = attempt_number(request, "with", numbers, default=before)
    context = {
        "hook": hook,
        "choices": [(number, verdict_look(attempt).word) for number, attempt in attempts.items()],
        "attempt": new,
        "other": old,
        "old": f"Attempt {old}",
        "new": f"Attempt {new}",
        "parts": differences(attempts[old], attempts[new]),
    }
    return render(request, "instances/pages/log/compare.html", context)


def attempt_number(request: HttpRequest, name: str, numbers: list[int], *, default: int) -> int:
    """Returns the number of the parameter; 404 if the hook has no such attempt."""
    if name not in request.GET:
        return default
    number = parse_digits(request.GET[name])
    if number not in numbers:
        raise Http404("The hook has no such attempt.")
    return number


def differences(old: Attempt, new: Attempt) -> list[Diff]:
    """Returns the differences of URL, request headers and response. All attempts send the same body."""
    return [
        compare("Request", request_text(old), request_text(new)),
        compare("Response status", verdict_look(old).word, verdict_look(new).word),
        compare("Response headers", header_text(old.response_headers), header_text(new.response_headers)),
        compare_bodies(old, new),
    ]


def compare_bodies(old: Attempt, new: Attempt) -> Diff:
    """Returns the differences of the stored bytes, which may be the beginning of what was received."""
    before, after = bytes(old.response_body), bytes(new.response_body)
    is_equal = before == after and len(before) == old.response_size == new.response_size
    return compare("Response body", response_text(old), response_text(new), is_equal=is_equal)


def request_text(attempt: Attempt) -> str:
    return f"POST {attempt.url}\n{header_text(attempt.request_headers)}"


def header_text(headers: list[list[str]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers)


def response_text(attempt: Attempt) -> str:
    body = bytes(attempt.response_body)
    return read_response(body, attempt.response_headers, is_cut=attempt.is_response_cut).text
