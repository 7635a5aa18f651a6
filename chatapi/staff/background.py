"""django-q2's queue, schedules and results on the support desk, read-only; other packages' admin pages are removed.

Those pages write without our actions, and django-q2's would let staff queue any Python function by its name.
Sessions, second factors and addresses are managed by their owners, on their account pages.
"""

from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin
import django.contrib.auth.admin
import django_q.admin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django_q.models import Failure, OrmQ, Schedule, Success

from chatapi.staff.base.lists import OwnFilters, ReadOnly

# Imported to register their pages now, before Django's autodiscovery would, so that they can be removed below.
__all__ = ["allauth", "django", "django_q"]

admin.site.unregister([EmailAddress, Authenticator, UserSession, Failure, OrmQ, Schedule, Success])
# Groups are created by a migration, and assigned on the pages of users.
admin.site.unregister([Group])

MAX_COUNT = 10_000


class BoundedPaginator(Paginator):
    """Counts up to MAX_COUNT rows; later pages are not reachable."""

    @cached_property
    def count(self) -> int:
        return self.object_list[:MAX_COUNT].count()  # type: ignore[attr-defined]


class ReadOnlyAdmin(OwnFilters, ReadOnly, admin.ModelAdmin):
    """No actions in the list or on a row's page."""

    paginator = BoundedPaginator
    show_full_result_count = False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}


@admin.register(Success)
class SuccessAdmin(ReadOnlyAdmin, django_q.admin.TaskAdmin):
    """Background tasks that succeeded."""


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin, django_q.admin.FailAdmin):
    """Background tasks that failed, with the end of their traceback."""


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin, django_q.admin.ScheduleAdmin):
    """Recurring tasks; chatapi/runtime/schedules.py writes them at each start of the worker."""

    list_filter = ("schedule_type", "cluster")


@admin.register(OrmQ)
class QueueAdmin(ReadOnlyAdmin, django_q.admin.QueueAdmin):
    """Tasks that wait for a worker or are running."""

    fields = ("key", "lock")  # without the payload, which is pickled
