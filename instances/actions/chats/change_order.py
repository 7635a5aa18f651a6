"""The order of changes in a group, by the messenger's clock: it may report them in another order than they happened.

Of each member, and of the name, the time of the last change is kept, also if they have left. What is reported with an
earlier time is outdated. A report without a time counts as the latest.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.utils import timezone

from instances.models import Chat, MembershipChange

KEEP = timedelta(days=2)  # before the last change in the group; messengers give up on a report after a day
MAX_FORGOTTEN = (
    1_000  # old changes that are deleted with a new one, so that no report waits for a large group
)
MAX_AHEAD = timedelta(minutes=10)  # of this machine's clock: clocks that differ a little keep the order
NAME = ""  # in place of a member


def outdated(chat: Chat, members: Collection[str], time: datetime | None) -> set[str]:
    """Returns those of the members who have changed after `time`. One query; none without a time."""
    if time is None or not members:
        return set()
    later = MembershipChange.objects.filter(chat=chat, member__in=members, at__gt=time)
    return set(later.values_list("member", flat=True))


def remember(chat: Chat, members: Collection[str], time: datetime | None) -> None:
    """Remember that the members have changed at `time`, which is not outdated. No query without a time.

    A time that is too far ahead counts as now: once that clock is right, its reports would be outdated for hours.
    """
    if time is None or not members:
        return
    now = timezone.now()
    time = time if time <= now + MAX_AHEAD else now
    MembershipChange.objects.bulk_create(
        [MembershipChange(chat=chat, member=one, at=time) for one in dict.fromkeys(members)],
        update_conflicts=True,
        unique_fields=["chat", "member"],
        update_fields=["at"],
    )
    forget(chat, before=time - KEEP)


def forget(chat: Chat, *, before: datetime) -> None:
    """Delete the oldest changes before this time, up to MAX_FORGOTTEN of them. Reads no others.

    One query, and one more if there are any.
    """
    changes = MembershipChange.objects.filter(chat=chat, at__lt=before).order_by("at")
    if oldest := list(changes.values_list("pk", flat=True)[:MAX_FORGOTTEN]):
        MembershipChange.objects.filter(pk__in=oldest).delete()
