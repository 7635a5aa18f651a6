"""The staff pages that packages bring along, cut down to looking: what they write goes past every actions.py.

django-q2's would even let staff queue any Python function by its name. Its queue, schedules and results stay, to be
read; sessions, second factors and addresses are their owners' business, on the pages of their accounts.
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

# imported for what they register, before Django's own turn to do so, which then does nothing
__all__ = ["allauth", "django", "django_q"]

admin.site.unregister([EmailAddress, Authenticator, UserSession, Failure, OrmQ, Schedule, Success])
# groups are made by a migration, and people are put into them on their own pages
admin.site.unregister([Group])


COUNTED_MOST = 10_000


class BoundedPaginator(Paginator):
    """Counts up to COUNTED_MOST rows, and nobody pages that far."""

    @cached_property
    def count(self) -> int:
        return self.object_list[:COUNTED_MOST].count()  # type: ignore[attr-defined]


class LookOnly(admin.ModelAdmin):
    """No button that does anything: neither in the list nor on a row's page."""

    paginator = BoundedPaginator
    show_full_result_count = False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Success)
class SuccessAdmin(LookOnly, django_q.admin.TaskAdmin):
    """Background tasks that ended well."""


@admin.register(Failure)
class FailureAdmin(LookOnly, django_q.admin.FailAdmin):
    """Background tasks that failed, with the end of their traceback."""


@admin.register(Schedule)
class ScheduleAdmin(LookOnly, django_q.admin.ScheduleAdmin):
    """What is done every few minutes or hours; chatapi/runtime/schedules.py writes it anew at each start."""


@admin.register(OrmQ)
class QueueAdmin(LookOnly, django_q.admin.QueueAdmin):
    """What waits for a worker or is under way."""

    fields = ("key", "lock")  # not the payload, which is pickled
