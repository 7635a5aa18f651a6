"""The page of an account's alert webhook: its URL and secret, a test, and the alerts with their attempts."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.current_user import current_user
from accounts.models import Account
from accounts.reauthentication import password_required
from accounts.views.account import own_account
from chatapi.ui.templatetags.ui import hook_look
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions import alerts as actions
from instances.limits import manual_request_limit
from instances.models import Alert, AlertState, AlertWebhook
from instances.pages.alerts.forms import AlertUrlForm

SHOWN = 20
# As those of hooks; an alert that waits has failed before, or is about to be sent.
LOOKS = {AlertState.DELIVERED: "delivered", AlertState.FAILED: "failed", AlertState.WAITING: "retrying"}


class AlertRow(NamedTuple):
    """An alert as the page shows it; `attempts` are actions.AttemptMade with `at` as a time, newest first."""

    alert: Alert
    attempts: list[dict[str, Any]]
    allowed: int

    @property
    def look(self) -> Any:
        is_new = self.alert.state == AlertState.WAITING and not self.attempts
        return hook_look("sending" if is_new else LOOKS[AlertState(self.alert.state)])


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def alerts(request: HttpRequest) -> HttpResponse:
    """Shows the webhook and its last alerts. POST saves the URL."""
    own = own_account(request)
    form = AlertUrlForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            actions.set_url(own, url=form.cleaned_data["url"], acting_user=current_user(request))
        except InvalidUrl as error:
            form.add_error("url", str(error))
        else:
            messages.success(request, "Saved.")
            return redirect("account-alerts:alerts")
    context = page_context(request, own, form)
    return render(
        request, "instances/pages/alerts/alerts.html", context, status=422 if form.is_bound else 200
    )


def page_context(request: HttpRequest, account: Account, form: AlertUrlForm) -> dict[str, Any]:
    webhook = AlertWebhook.objects.filter(pk=account.pk).first()
    if webhook is not None and not form.is_bound:
        form = AlertUrlForm(initial={"url": webhook.url})
    rows = webhook.alerts.order_by("-created_at", "-pk")[:SHOWN] if webhook else []
    return {
        "form": form,
        "webhook": webhook,
        "rows": [row_of(alert) for alert in rows],
        "max_attempts": actions.MAX_ATTEMPTS,
        "old_secret_until": webhook.old_secret_until(timezone.now()) if webhook else None,
        "may_change": Account.objects.changeable_by(request.user).filter(pk=account.pk).exists(),
    }


def row_of(alert: Alert) -> AlertRow:
    attempts = [made | {"at": parse_datetime(made["at"])} for made in reversed(alert.attempts)]
    return AlertRow(alert, attempts, actions.attempts_allowed(alert))


def own_webhook(request: HttpRequest) -> AlertWebhook:
    """Returns the alert webhook of the user's own account. Raises Http404."""
    found = AlertWebhook.objects.select_related("account").filter(account=own_account(request)).first()
    if found is None:
        raise Http404("This account has no alert webhook.")
    return found


@require_POST
@login_required
def remove(request: HttpRequest) -> HttpResponse:
    actions.remove(own_webhook(request), acting_user=current_user(request))
    messages.success(request, "The alert webhook is removed.")
    return redirect("account-alerts:alerts")


@require_POST
@login_required
@password_required
def rotate_secret(request: HttpRequest) -> HttpResponse:
    actions.rotate_secret(own_webhook(request), acting_user=current_user(request))
    messages.success(request, "The new secret is valid now. The old one ends in 24 hours.")
    return redirect("account-alerts:alerts")


@require_POST
@login_required
@password_required
def end_previous_secret(request: HttpRequest) -> HttpResponse:
    actions.end_previous_secret(own_webhook(request), acting_user=current_user(request))
    messages.success(request, "The old secret is no longer valid.")
    return redirect("account-alerts:alerts")


@require_POST
@login_required
def send_test(request: HttpRequest) -> HttpResponse:
    """Sends a test alert, which takes up to 10 s, and redirects to the page, whose newest row is its result."""
    webhook, user = own_webhook(request), current_user(request)
    try:
        with manual_request_limit.place(user):
            alert = actions.send_test(webhook, acting_user=user)
    except manual_request_limit.TooMany as error:
        messages.error(request, str(error))
    else:
        sentence = alert.attempts[-1]["explanation"]
        is_delivered = alert.state == AlertState.DELIVERED
        (messages.success if is_delivered else messages.error)(request, f"Test alert: {sentence}")
    return redirect("account-alerts:alerts")
