"""The staff pages that packages bring along, cut down to looking: what they write goes past every actions.py.

django-q2's would even let staff queue any Python function by its name. Its queue, schedules and results stay, to be
read; sessions, second factors and addresses are their owners' business, on the pages of their accounts.
"""

from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin
import django_q.admin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from accounts.admin import ReadOnlyAdmin

# imported for what they register, before Django's own turn to do so, which then does nothing
__all__ = ["allauth", "django_q"]

admin.site.unregister([EmailAddress, Authenticator, UserSession, Failure, OrmQ, Schedule, Success])


class LookOnly(ReadOnlyAdmin):
    """No button that does anything: neither in the list nor on a row's page."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}


@admin.register(Success)
class SuccessAdmin(LookOnly, django_q.admin.TaskAdmin):
    """Background tasks that ended well."""


@admin.register(Failure)
class FailureAdmin(LookOnly, django_q.admin.FailAdmin):
    """Background tasks that failed, with the end of their traceback."""


@admin.register(Schedule)
class ScheduleAdmin(LookOnly, django_q.admin.ScheduleAdmin):
    """What is done every few minutes or hours; chatapi/schedules.py writes it anew at each start."""


@admin.register(OrmQ)
class QueueAdmin(LookOnly, django_q.admin.QueueAdmin):
    """What waits for a worker or is under way."""

    fields = ("key", "lock")  # not the payload, which is pickled
