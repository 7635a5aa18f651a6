"""The tasks of django-q2 for instances: the senders, and checks for failing endpoints and expired QR codes."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django_q.tasks import async_task

from accounts.time_zones import in_zone_of
from hooks import worker_slots
from hooks.actions.endpoints import mark_pause_notified
from hooks.maintenance import auto_pause
from hooks.models import WAITING, Endpoint, Hook, Role
from instances.actions.channel_links import links_to_mail, mark_lost_link_mailed
from instances.actions.status import drop_statuses, expire_code
from instances.models import Instance, OutgoingMessage, ReceiverState

log = logging.getLogger(__name__)

SEND_OUTGOING = "instances.tasks.send_outgoing"


def send_outgoing(seconds: float = worker_slots.LOOP_SECONDS) -> str:
    """Run a sender until it hands over, after `seconds`, or is stopped; returns at once if all slots are taken."""
    from instances.sending.sender import run  # other tasks need not load pycurl

    with worker_slots.hold_slot(Role.OUTGOING, range(settings.SENDERS), seconds) as worker_slot:
        if worker_slot is None:
            return "all slots are taken"
        handed_over = run(
            worker_slot, stop_fd=worker_slots.stop_fd(), request_successor=lambda: async_task(SEND_OUTGOING)
        )
    return "handed over" if handed_over else "stopped"


def pause_failing() -> str:
    """Pause endpoints whose deliveries have all failed for a day, and mail their owners; runs every minute."""
    paused = len(auto_pause.pause_failing())
    notified = 0
    for endpoint in auto_pause.endpoints_to_notify().select_related("instance__owner__owner"):
        try:
            send_pause_mail(endpoint)
        except (
            OSError,
            SMTPException,
        ) as error:  # the mail server is not reachable: the next run tries again
            log.warning("the mail to the owner of instance %s failed: %s", endpoint.instance, error)
            continue
        mark_pause_notified(endpoint)
        notified += 1
    return f"{paused} paused, {notified} notified"


def send_pause_mail(endpoint: Endpoint) -> None:
    """Mail the account's owner. A crash before mark_pause_notified sends the mail again."""
    instance = endpoint.instance
    page, log_query = instance.get_absolute_url(), f"instance={instance.number}&state=failed"
    if not endpoint.is_first:
        page = reverse("instances:endpoint", args=[instance.number, endpoint.pk])
        log_query += f"&endpoint={endpoint.pk}"
    waiting = Hook.objects.filter(endpoint=endpoint, state__in=WAITING).count()
    context = {
        "instance": instance,
        "endpoint": endpoint,
        "waiting": waiting,
        "page": settings.SITE_URL + page,
        "log": f"{settings.SITE_URL}{reverse('log:list')}?{log_query}",
    }
    owner = instance.owner.owner
    with in_zone_of(owner):
        text = render_to_string("instances/endpoint_paused_mail.txt", context)
    send_mail(f"Delivery to {instance} is paused", text, None, [owner.email])


def mail_lost_links() -> str:
    """Mail the owners of instances whose link to a messenger was lost; runs every minute, and when one is lost."""
    notified = 0
    for state in links_to_mail().select_related("instance__owner__owner", "instance__channel_link"):
        try:
            send_lost_link_mail(state)
        except (OSError, SMTPException) as error:  # as for a paused endpoint
            log.warning("the mail to the owner of instance %s failed: %s", state.instance, error)
            continue
        mark_lost_link_mailed(state)
        notified += 1
    return f"{notified} notified"


def send_lost_link_mail(state: ReceiverState) -> None:
    """Mail the account's owner. A crash before mark_lost_link_mailed sends the mail again."""
    instance = state.instance
    context = {
        "instance": instance,
        "state": state,
        "waiting": OutgoingMessage.objects.waiting().filter(instance=instance).count(),
        "page": f"{settings.SITE_URL}{instance.get_absolute_url()}#account",
    }
    owner = instance.owner.owner
    with in_zone_of(owner):
        text = render_to_string("instances/link_lost_mail.txt", context)
    send_mail(f"{instance} is not linked any more", text, None, [owner.email])


def expire_codes() -> str:
    """Expire QR codes that were not scanned in time; runs every minute. Reading a status does it immediately."""
    outdated = Instance.objects.with_outdated_code(timezone.now())
    expired = 0
    for instance in outdated.iterator():
        try:
            expire_code(instance)
        except Instance.DoesNotExist:
            continue  # deleted in the meantime
        expired += 1
    return f"{expired} expired"


def ensure_outgoing() -> bool:
    """Ensure that every slot has a sender; returns False if one is missing and was requested."""
    return worker_slots.ensure_running(Role.OUTGOING, settings.SENDERS, SEND_OUTGOING)


def drop_old_statuses() -> str:
    """Delete status history older than the delivery log is kept; runs every hour."""
    oldest = timezone.now() - timedelta(days=settings.HOOKS_KEEP_DAYS)
    return f"{drop_statuses(before=oldest)} dropped"
