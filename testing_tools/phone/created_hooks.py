"""The hooks that the last action on one of the phones created. Reads only."""

from __future__ import annotations

from typing import NamedTuple

from hooks.explain import sentences
from hooks.log.newest import newest_key
from hooks.models import Hook
from instances.models import Instance
from instances.pages.messages import conversations

MAX_HOOKS = 12  # shown for one action; the log has all of them


class CreatedHooks(NamedTuple):
    """Hooks, oldest first, each with its explanation; the number of hooks not shown; a digest of everything."""

    hooks: list[tuple[Hook, str]]
    not_shown: int
    digest: str


def newest_hook_key(instance: Instance) -> int:
    """Returns the key of the instance's newest hook; 0 if it has none."""
    return newest_key(Hook.objects.all(), instance.endpoint.sibling_ids)


def hooks_created_since(instance: Instance, key: int) -> CreatedHooks:
    """Returns the hooks after this key, without simulated ones. One query; two for more than MAX_HOOKS."""
    found = Hook.objects.of_instance(instance).filter(pk__gt=key, simulated=False)
    found = found.show_sending().select_related("endpoint").defer("body").order_by("pk")
    listed = list(found[: MAX_HOOKS + 1])
    not_shown = found.count() - MAX_HOOKS if len(listed) > MAX_HOOKS else 0
    shown = listed[:MAX_HOOKS]
    states = [(hook.pk, hook.state, hook.attempts_made) for hook in shown]
    return CreatedHooks(
        [(hook, sentences.explain_hook(hook)) for hook in shown],
        not_shown,
        conversations.digest([states, not_shown]),
    )
