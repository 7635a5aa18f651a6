"""The newest message that a contact has sent, its hook with the verdict, and what the bot sent because of it."""

from __future__ import annotations

from typing import NamedTuple

from chatapi.ui.json_text import pretty_bytes
from hooks.models import Attempt, Hook
from instances.models import Instance, Message
from instances.pages.log import attempts
from instances.pages.received import turn_page
from testing_tools.phone.conversation import Conversation

EARLIER = 5  # messages, each a link to its turn


class LastTurn(NamedTuple):
    """`hook` is the first hook that is not skipped, else the first; `attempt` its last attempt."""

    view: turn_page.TurnView
    hook: Hook | None
    sentence: str  # of the hook
    attempt: attempts.ShownAttempt | None
    body: str  # what the endpoint gets, indented; empty without a hook
    other_hooks: int
    earlier: list[Message]

    @property
    def cursor(self) -> str:
        """Changes when anything shown changes."""
        return self.view.cursor


def last_turn(instance: Instance, conversation: Conversation) -> LastTurn | None:
    """Returns None if the contact has sent nothing yet. At most 15 queries."""
    if conversation.chat is None:
        return None
    received = Message.objects.filter(chat=conversation.chat, from_me=False).select_related("chat")
    found = list(received.order_by("-number")[: EARLIER + 1])
    if not found:
        return None
    newest, *earlier = found
    view = turn_page.read_view(instance, newest)
    shown = next((one for one in view.hooks if not one.hook.skip_reason), next(iter(view.hooks), None))
    if shown is None:
        return LastTurn(view, None, "", None, "", 0, earlier)
    hook = Hook.objects.get(pk=shown.hook.pk)  # with its body
    last = Attempt.objects.filter(pk=shown.attempts[-1].attempt.pk).first() if shown.attempts else None
    return LastTurn(
        view=view,
        hook=shown.hook,
        sentence=shown.sentence,
        attempt=attempts.show(last, hook) if last else None,
        body=pretty_bytes(bytes(hook.body)),
        other_hooks=len(view.hooks) - 1,
        earlier=earlier,
    )
