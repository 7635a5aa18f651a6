"""Django's system checks: those of the one list (chatapi/runtime/doctor/checklist.py) that have a tag.

Commands run the checks of the settings at their start, and `up`, `worker`, `dispatch` and `migrate` those of the
database too: an error stops them. Their ids can be silenced with SILENCED_SYSTEM_CHECKS.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register

from chatapi.runtime.doctor.checklist import CHECKS, DATABASE_TAG, DEPLOY_TAG, SETTINGS_TAG
from chatapi.runtime.doctor.findings import Check, Level
from chatapi.runtime.doctor.runs import carry_out

# No notes: Django prints what the checks find before each command.
MESSAGES: dict[Level, Callable[..., CheckMessage]] = {Level.ERROR: Error, Level.WARNING: Warning}


@register(SETTINGS_TAG)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return with_tag(SETTINGS_TAG)


@register(Tags.database)
def check_database(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return with_tag(DATABASE_TAG) if databases else []


@register(deploy=True)
def check_deployment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return with_tag(DEPLOY_TAG)


def with_tag(tag: str) -> list[CheckMessage]:
    return [message for check in CHECKS if check.system_tag == tag for message in messages_of(check)]


def messages_of(check: Check) -> list[CheckMessage]:
    """Returns what the check finds; nothing if it cannot be carried out, as in a database without tables."""
    return [
        MESSAGES[finding.level](
            finding.problem, hint=finding.next_step, id=finding.id or f"chatapi.{check.name}"
        )
        for finding in carry_out(check).findings
        if finding.level in MESSAGES
    ]
