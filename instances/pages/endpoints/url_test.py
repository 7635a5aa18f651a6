"""The test of an endpoint's URL: one simulated message, sent at once, and its result."""

from __future__ import annotations

from typing import Any, NamedTuple

from hooks.models import Endpoint, Hook
from instances.actions import endpoint_test
from instances.actions.fixes import UrlFix, url_fix
from instances.limits import manual_request_limit
from instances.models import Instance
from instances.pages.forms import AddressForm
from instances.pages.log.attempts import ShownAttempt, show

RESPONSE_SHOWN_MAX = 500  # characters


class Tested(NamedTuple):
    """One simulated hook and its result; `response` is the start of the response's body, `fix` the URL that works."""

    hook: Hook
    shown: ShownAttempt
    response: str
    fix: UrlFix | None


def try_url(instance: Instance, endpoint: Endpoint, form: AddressForm, user: Any) -> dict[str, Any]:
    """Sends a test to the URL in the form, saved or not; waits up to 10 s for a response.

    Returns the context of url_test.html: the result, or why nothing was sent.
    """
    context: dict[str, Any] = {}
    if refusal := endpoint_test.why_not(instance):
        context["refusal"] = refusal
    elif endpoint.is_listener:
        context["refusal"] = endpoint_test.LISTENER
    elif not form.is_valid():
        context["refusal"] = " ".join(str(error) for error in form.errors["url"])
    elif not form.cleaned_data["url"]:
        context["refusal"] = "There is no URL yet. Enter the URL where your server receives hooks."
    else:
        try:
            with manual_request_limit.place(user):
                context["tested"] = send_test(instance, endpoint, form.cleaned_data["url"], acting_user=user)
        except manual_request_limit.TooMany as error:
            context["refusal"] = str(error)
    return context


def send_test(instance: Instance, endpoint: Endpoint, url: str, *, acting_user: Any) -> Tested:
    """Sends the test to the URL and returns it with what the page shows of its response."""
    hook = endpoint_test.send_test(endpoint, instance=instance, url=url, acting_user=acting_user)
    shown = show(hook.attempts.get(), hook)
    fix = url_fix(hook, shown.attempt, is_test=True)
    return Tested(hook, shown, shown.response.text[:RESPONSE_SHOWN_MAX], fix)
