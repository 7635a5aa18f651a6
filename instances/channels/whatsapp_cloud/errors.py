"""The error codes of the Cloud API: what each means for a message, as a sentence and a rule of retries.

Source: Meta's list of error codes. Meta says that a code may stand for several causes, so its own words follow ours.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from hooks.http import Response
from instances.channels.requests import Failed, Refused, Result, Scope, Unlinked, Wait
from instances.channels.responses import json_object, retry_after
from instances.channels.whatsapp_cloud.graph import code_of, words_of


class Effect(enum.Enum):
    """What an error means for the message and for those after it."""

    REFUSED = "this message is not accepted"
    FAILED = "tried again"
    WAIT_NUMBER = "all messages of the number wait"
    WAIT_CHAT = "the messages to this person wait"
    UNLINKED = "the link is not valid: all messages wait until it is"


class Meaning(NamedTuple):
    effect: Effect
    sentence: str
    seconds: float | None = None  # to wait, if the response does not say; None: the sender's back-off


R, F, N, C, U = Effect.REFUSED, Effect.FAILED, Effect.WAIT_NUMBER, Effect.WAIT_CHAT, Effect.UNLINKED

TOKEN = "The access token is invalid or has expired. Create one for a system user and enter it."
PERMISSION = "The access token needs whatsapp_business_messaging and whatsapp_business_management."
LIMIT = "The rate limit of the WhatsApp number is reached. Messages wait."
AGAIN = "WhatsApp could not process the message. It is tried again."
PARAMETER = "WhatsApp does not accept a part of the message."
FILE = "WhatsApp could not process the file."

CODES: Mapping[int, Meaning] = {
    0: Meaning(U, TOKEN),
    190: Meaning(U, TOKEN),
    3: Meaning(U, PERMISSION),
    10: Meaning(U, PERMISSION),
    **{code: Meaning(U, PERMISSION) for code in range(200, 300)},
    131005: Meaning(U, PERMISSION),
    4: Meaning(N, LIMIT),
    80007: Meaning(N, LIMIT),
    130429: Meaning(N, LIMIT),
    131048: Meaning(N, "WhatsApp limits this number, because people blocked it or reported spam.", 600),
    131056: Meaning(C, "Too many messages to this person in a short time. Messages to them wait.", 60),
    131064: Meaning(N, "The messaging limit of the WhatsApp Business account is reached.", 3600),
    133016: Meaning(N, "The number was registered too often. WhatsApp allows it again after 72 hours.", 3600),
    1: Meaning(F, AGAIN),
    2: Meaning(F, "WhatsApp is not available at the moment. The message is tried again."),
    131000: Meaning(F, AGAIN),
    131016: Meaning(F, "WhatsApp is not available at the moment. The message is tried again."),
    131057: Meaning(F, "The WhatsApp Business account is in maintenance. The message is tried again."),
    135000: Meaning(F, AGAIN),
    100: Meaning(R, PARAMETER),
    131008: Meaning(R, "The message lacks a part that WhatsApp requires."),
    131009: Meaning(R, PARAMETER),
    131021: Meaning(R, "The recipient is the sender's own number."),
    131026: Meaning(
        R, "WhatsApp cannot deliver to this number: not on WhatsApp, an old app, or terms not accepted."
    ),
    131030: Meaning(
        R, "A test number sends to at most 5 numbers, which you add in the app's dashboard, WhatsApp, API Setup."
    ),
    131031: Meaning(U, "WhatsApp has locked the business account. WhatsApp Manager says why."),
    368: Meaning(N, "WhatsApp has blocked the business account for a time, for a violation of its policy.", 3600),
    130497: Meaning(R, "The business account may not write to people in this country."),
    131042: Meaning(
        N, "The business account has a payment problem: check its payment method in WhatsApp Manager.", 600
    ),
    131045: Meaning(U, "The phone number is not registered: its certificate is not valid."),
    133010: Meaning(U, "The phone number is not registered with the Cloud API."),
    131047: Meaning(
        R, "This person has not written in the last 24 hours, so WhatsApp only allows a message template."
    ),
    131049: Meaning(R, "WhatsApp did not deliver the message, to keep the person from getting too many of them."),
    130472: Meaning(R, "The number is part of an experiment of WhatsApp, and gets no marketing messages."),
    131050: Meaning(R, "This person has stopped marketing messages from the account."),
    131051: Meaning(R, "WhatsApp does not support this type of message."),
    131052: Meaning(R, FILE),
    131053: Meaning(R, FILE),
    132000: Meaning(R, "The number of the template's parameters is wrong."),
    132001: Meaning(R, "The template does not exist in this language, or is not approved."),
    132005: Meaning(R, "The text of the template is too long with these parameters."),
    132007: Meaning(R, "The template violates a policy of WhatsApp."),
    132008: Meaning(R, "A parameter of the template has a value that WhatsApp does not accept."),
    132012: Meaning(R, "A parameter of the template has the wrong format."),
    132015: Meaning(R, "The template is paused, because of its low quality."),
    132016: Meaning(R, "The template is disabled, because of its low quality."),
}  # fmt: skip
NOT_FOUND = (100, 33)  # code and subcode: the object does not exist, or the token may not see it
NUMBER_NOT_FOUND = Meaning(
    U, "The phone number id does not exist, or the access token has no access to it. Check both."
)


def read_error(response: Response) -> Result:
    """Returns what a response that is not a success means. Never raises."""
    status, found = response.status or 0, json_object(response).get("error")
    error = found if isinstance(found, dict) else {}
    code = code_of(error)
    meaning = meaning_of(error)
    if meaning is None:
        return read_status(status, error, response)
    reason = sentence_of(error, meaning)
    match meaning.effect:
        case Effect.UNLINKED:
            return Unlinked(reason)
        case Effect.REFUSED:
            return Failed(reason) if error.get("is_transient") is True and code != 131047 else Refused(reason)
        case Effect.FAILED:
            return Failed(reason)
    scope = Scope.CHAT if meaning.effect is Effect.WAIT_CHAT else Scope.NUMBER
    return Wait(reason, scope, retry_after(response) or meaning.seconds)


def read_status(status: int, error: Mapping[str, Any], response: Response) -> Result:
    """Returns what an error without a known code means, by its status."""
    said = words_of(error)
    if status == 401:
        return Unlinked(said or TOKEN)
    if status == 429 or (status == 503 and retry_after(response) is not None):
        return Wait(said or f"WhatsApp responded with {status}.", Scope.NUMBER, retry_after(response))
    if (
        400 <= status < 500
        and status not in (403, 408, 425)
        and said
        and error.get("is_transient") is not True
    ):
        return Refused(with_code(said, error))
    return Failed(with_code(said, error) if said else f"WhatsApp responded with {status}, without a reason.")


def meaning_of(error: Mapping[str, Any]) -> Meaning | None:
    """Returns the meaning of an error object; None for a code that is not known."""
    code = code_of(error)
    if (code, error.get("error_subcode")) == NOT_FOUND:
        return NUMBER_NOT_FOUND
    return None if code is None else CODES.get(code)


def sentence_of(error: Mapping[str, Any], meaning: Meaning | None = None) -> str:
    """Returns the reason for people: our sentence, then WhatsApp's own words with the code."""
    meaning = meaning or meaning_of(error)
    said = with_code(words_of(error), error)
    if meaning is None:
        return said or "WhatsApp gave no reason."
    return f"{meaning.sentence} WhatsApp: {said}" if said else meaning.sentence


def with_code(said: str, error: Mapping[str, Any]) -> str:
    code = code_of(error)
    return f"{said or 'error'} ({code})" if code is not None else said
