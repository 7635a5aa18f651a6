"""What a turn says in words, on pages and over REST."""

from __future__ import annotations

from datetime import timedelta

from chatapi.ui.durations import in_words
from instances.turns.matching import Evidence, Match
from instances.turns.responses import RESPONSE_TIME, Response, ResponseState

DURING = {
    Evidence.QUOTE: "Quotes this message, during the webhook request.",
    Evidence.REQUEST: "In the same chat, during the webhook request.",
    Evidence.CONTENT: "Names the sender or repeats the text, during the webhook request.",
    Evidence.CHAT: "In the same chat, during the webhook request.",
    Evidence.OTHER_CHAT_IN_REQUEST: "In another chat, during the webhook request.",
    Evidence.OTHER_CHAT: "In another chat, during the webhook request.",
}
AFTER = {
    Evidence.QUOTE: "Quotes this message, {delay} after the webhook request.",
    Evidence.CONTENT: "Names the sender or repeats the text, {delay} after the webhook request.",
    Evidence.CHAT: "In the same chat, {delay} after the webhook request.",
    Evidence.OTHER_CHAT: "In another chat, {delay} after the webhook request.",
}
OTHERS = {
    Evidence.REQUEST: "{count} other message{s} of the chat {was} in flight.",
    Evidence.CONTENT: "{count} other chat{s} {fits} as well.",
    Evidence.CHAT: "{count} other message{s} of the chat {was} without a response.",
    Evidence.OTHER_CHAT_IN_REQUEST: "{count} other message{s} {was} in flight.",
    Evidence.OTHER_CHAT: "{count} other message{s} {fits} as well.",
}


def explain_match(match: Match) -> str:
    """Returns why a message is thought to be part of the turn, in one or two sentences."""
    if match.delay > timedelta() and match.evidence in AFTER:
        words = AFTER[match.evidence].format(delay=short_delay(match.delay))
    else:
        words = DURING[match.evidence]
    if match.others and match.evidence in OTHERS:
        one = match.others == 1
        counted = OTHERS[match.evidence].format(
            count=match.others,
            s="" if one else "s",
            was="was" if one else "were",
            fits="fits" if one else "fit",
        )
        return f"{words} {counted}"
    return words


def short_delay(delay: timedelta) -> str:
    """Returns "0.25 s", "3.1 s", "45 s", "3 min 20 s"."""
    seconds = delay.total_seconds()
    if seconds < 1:
        return f"{max(seconds, 0.01):.2f} s"
    return f"{seconds:.1f} s" if seconds < 10 else in_words(delay)


def explain_response(response: Response, *, in_chat: bool, elsewhere: bool) -> str:
    """Returns the state of the response in a sentence.

    `in_chat` and `elsewhere` are whether messages of the turn went to the message's chat, and to others.
    """
    limit = in_words(RESPONSE_TIME)
    match response.state:
        case ResponseState.RESPONDED if in_chat:
            return "Your bot responded."
        case ResponseState.RESPONDED:
            return "A message was sent to this chat, but another message was the reason, or none."
        case ResponseState.WAITING:
            return "Your bot has not responded yet."
        case ResponseState.NONE if elsewhere:
            return f"Your bot sent nothing to this chat within {limit}. It sent to another chat."
        case ResponseState.NONE:
            return f"Your bot never responded: it sent nothing to this chat within {limit}."
        case ResponseState.NOT_DELIVERED:
            return "Your bot did not receive this message: no hook was delivered."
