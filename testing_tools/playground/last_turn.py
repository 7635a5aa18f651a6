"""The newest message that a contact has sent, its hook with the verdict, and what the bot sent because of it."""

from __future__ import annotations

from typing import NamedTuple

from chatapi.ui.json_text import pretty_bytes
from hooks.models import Attempt, Hook
from instances.models import Instance, Message
from instances.pages.log import attempts
from instances.pages.messages import conversations
from instances.pages.received import turn_page
from testing_tools.phone.conversation import Conversation

EARLIER = 5  # messages, each a link to its turn


class LastTurn(NamedTuple):
    """`hook` is the first hook that is not skipped, else the first; `attempt` its last attempt."""

    view: turn_page.TurnView
    text: str  # of the message, in a line
    hook: Hook | None
    sentence: str  # of the hook
    attempt: attempts.ShownAttempt | None
    body: str  # what the endpoint gets, indented; empty without a hook
    other_hooks: int
    earlier: list[tuple[Message, str]]  # each with its line of text

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
    newest, *before = found
    earlier = [(one, conversations.line_of(one)) for one in before]
    view = turn_page.read_view(instance, newest)
    shown = next((one for one in view.hooks if not one.hook.skip_reason), next(iter(view.hooks), None))
    if shown is None:
        return LastTurn(view, conversations.line_of(newest), None, "", None, "", 0, earlier)
    # with its body; None if it was deleted meanwhile
    hook = Hook.objects.filter(pk=shown.hook.pk).first()
    last = Attempt.objects.filter(pk=shown.attempts[-1].attempt.pk).first() if shown.attempts else None
    return LastTurn(
        view=view,
        text=conversations.line_of(newest),
        hook=shown.hook,
        sentence=shown.sentence,
        attempt=attempts.show(last, hook) if last and hook else None,
        body=pretty_bytes(bytes(hook.body)) if hook else "",
        other_hooks=len(view.hooks) - 1,
        earlier=earlier,
    )
