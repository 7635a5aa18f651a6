"""The fixes of a hook as its page shows them: buttons for what the product can do about the cause."""

from __future__ import annotations

from typing import NamedTuple

from hooks.models import Attempt, Hook
from instances.actions.fixes import Resends, UrlFix, resends_of, suggested_fixes
from instances.models import Instance
from instances.settings_table import find


class ShownFixes(NamedTuple):
    """What log/fixes.html shows. `switch` is the wire name of a setting to turn on, `sentence` what it does."""

    hook: Hook
    url: UrlFix | None
    switch: str
    sentence: str
    resends: Resends


def fixes_of(hook: Hook, instance: Instance, attempt: Attempt | None) -> ShownFixes | None:
    """Returns the fixes of a hook by its newest attempt, for a user who may use them; None if there are none.

    Up to two queries, for a failed attempt.
    """
    if not instance.may_change:
        return None
    url, setting = suggested_fixes(hook, instance, attempt)
    resends = resends_of(hook, attempt)
    if not (url or setting or resends.issue):
        return None
    return ShownFixes(hook, url, setting, find(setting).sentence if setting else "", resends)
