"""What `chatapi listen` sends and gets: its run, the hooks that it takes, and the responses of the local server."""

import binascii
from base64 import b64decode
from datetime import timedelta
from typing import Any

from rest_framework import serializers

from hooks.actions.listening import DEFAULT_NAME, TakenHook
from hooks.actions.listening import Report as ListenerReport
from hooks.explain.failure_causes import REFUSED_LOCALLY
from hooks.explain.verdicts import TIMEOUT_PHASES
from hooks.http import LOGGED_BYTES, MAX_RESPONSE_BYTES, Response
from hooks.models import Kind, Outcome, Phase
from instances.api.serializers.strict import StrictSerializer, choice, choice_of

MAX_MS = 600_000
MAX_HEADERS = 100
MAX_HEADER = 8_192  # characters of a value
# The failures that a program on the user's computer can see.
ERRORS = [
    (outcome.value, str(outcome.label))
    for outcome in (
        Outcome.DNS,
        Outcome.REFUSED,
        Outcome.TIMEOUT,
        Outcome.TLS,
        Outcome.RESET,
        Outcome.TOO_LARGE,
        Outcome.PROTOCOL,
    )
]
# Phase → the text of a timeout in it, which hooks/explain reads.
PHASE_TEXTS = {phase: text for text, phase in reversed(TIMEOUT_PHASES.items())}


class NewListenerSerializer(StrictSerializer):
    """A run of a program that fetches hooks."""

    url = serializers.CharField(
        max_length=4000,
        help_text="The URL of the local server, as the log shows it. It is not requested from here.",
    )
    name = serializers.CharField(
        max_length=60,
        required=False,
        default=DEFAULT_NAME,
        help_text="The endpoint with this name is used, or added. Its hooks wait while no program runs.",
    )


class ListenerSerializer(serializers.Serializer[Any]):
    """A run, and its endpoint."""

    id = serializers.CharField()
    endpointId = serializers.CharField(help_text="The endpoint whose hooks it fetches.")
    name = serializers.CharField()
    url = serializers.CharField(help_text="As it is logged.")
    waiting = serializers.IntegerField(help_text="Hooks that wait now. At most 10 000 are counted.")
    leaseSeconds = serializers.FloatField(
        help_text="For so long, hooks that were taken are not given to another program. Each report renews it."
    )
    deadlineMs = serializers.IntegerField(
        help_text="The longest that a request to the local server may take."
    )
    connectMs = serializers.IntegerField(help_text="Of that, the longest until it is connected.")
    responseBytes = serializers.IntegerField(help_text="How much of a response's body is read.")
    loggedBytes = serializers.IntegerField(help_text="How much of it is reported.")


class TakenHookSerializer(serializers.Serializer[Any]):
    """A hook to send to the local server by POST, with exactly these headers and this body."""

    id = serializers.CharField(help_text="Its `webhook-id`.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    createdAt = serializers.DateTimeField()
    attempt = serializers.IntegerField(help_text="1 for the first.")
    headers = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2),
        help_text="`[name, value]` pairs, in the order to send them in.",
    )
    body = serializers.CharField(help_text="Send it in UTF-8: the signature is that of these bytes.")
    claim = serializers.CharField(help_text="Repeat it in the report.")


class PortionSerializer(serializers.Serializer[Any]):
    """The hooks that were taken, in the order to send them in."""

    hooks = TakenHookSerializer(many=True)
    paused = serializers.BooleanField(help_text="Whether none are given because the endpoint is paused.")


def hook_json(taken: TakenHook) -> dict[str, Any]:
    """The data of TakenHookSerializer."""
    return {
        "id": taken.hook.webhook_id,
        "kind": taken.hook.kind,
        "createdAt": taken.hook.created_at,
        "attempt": taken.hook.attempts_made + 1,
        "headers": taken.headers,
        "body": bytes(taken.hook.body).decode(),
        "claim": taken.claim,
    }


class WaitSerializer(StrictSerializer):
    """How long to wait for a hook."""

    wait = serializers.FloatField(min_value=0, max_value=30, required=False, default=0)


def milliseconds(**options: Any) -> serializers.FloatField:
    return serializers.FloatField(min_value=0, max_value=MAX_MS, **options)


class LocalTimesSerializer(StrictSerializer):
    """Milliseconds from the start to the end of each phase. Null: the phase was not reached."""

    nameMs = milliseconds(source="name_ms", required=False, allow_null=True)
    connectMs = milliseconds(source="connect_ms", required=False, allow_null=True)
    tlsMs = milliseconds(source="tls_ms", required=False, allow_null=True)
    firstByteMs = milliseconds(source="first_byte_ms", required=False, allow_null=True)
    totalMs = milliseconds(source="total_ms")


class ReportSerializer(StrictSerializer):
    """The local server's response to one hook, or why there is none."""

    claim = serializers.CharField(max_length=20_000)
    status = serializers.IntegerField(
        min_value=100, max_value=999, required=False, allow_null=True, help_text="Null: no response."
    )
    headers = serializers.ListField(
        child=serializers.ListField(
            child=serializers.CharField(max_length=MAX_HEADER, allow_blank=True, trim_whitespace=False),
            min_length=2,
            max_length=2,
        ),
        max_length=MAX_HEADERS,
        required=False,
        default=list,
        help_text="`[name, value]` pairs, in the order received.",
    )
    body = serializers.CharField(
        max_length=LOGGED_BYTES * 4 // 3 + 4,
        required=False,
        allow_blank=True,
        default="",
        help_text=f"The first {LOGGED_BYTES} bytes of the body, in base64.",
    )
    size = serializers.IntegerField(
        min_value=0,
        max_value=MAX_RESPONSE_BYTES,
        required=False,
        help_text="The number of bytes received, if it is larger.",
    )
    error = choice_of(
        ERRORS, required=False, allow_null=True, help_text="What went wrong. Null: the response is complete."
    )
    detail = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="The technical error."
    )
    phase = choice(
        Phase,
        required=False,
        allow_null=True,
        help_text="Of a timeout: the phase in which the deadline passed.",
    )
    address = serializers.RegexField(
        r"^[0-9A-Fa-f.:%\[\]]*$",
        max_length=60,
        required=False,
        allow_blank=True,
        default="",
        help_text="The IP address and port that it connected to.",
    )
    delayMs = milliseconds(
        required=False, default=0.0, help_text="From the taking of the hooks to the start of this request."
    )
    times = LocalTimesSerializer()

    def validate_body(self, value: str) -> bytes:
        try:
            return b64decode(value, validate=True)[:LOGGED_BYTES]
        except (binascii.Error, ValueError):
            raise serializers.ValidationError("Must be base64.") from None

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("status") is None and given.get("error") is None:
            raise serializers.ValidationError(
                {"status": "Send the status, or `error` if there is no response."}
            )
        return given


class ReportsSerializer(StrictSerializer):
    """The responses to hooks that were taken."""

    results = ReportSerializer(many=True, max_length=100)  # type: ignore[call-arg]  # of the list


class RecordedSerializer(serializers.Serializer[Any]):
    """The state that a report has given its hook."""

    id = serializers.CharField(help_text="Its `webhook-id`.")
    state = serializers.CharField()
    explanation = serializers.CharField()


class RecordedListSerializer(serializers.Serializer[Any]):
    """The hooks that were reported. One that was deleted meanwhile is left out."""

    results = RecordedSerializer(many=True)


def report_of(given: dict[str, Any]) -> ListenerReport:
    """Returns the report as hooks.actions.listening records it."""
    status, error, body = given.get("status"), given.get("error"), given["body"]
    response = Response(
        outcome=Outcome(error) if error else outcome_of(status),
        status=status,
        headers=given["headers"],
        body=body,
        size=max(given.get("size", 0), len(body)),
        address=given["address"],
        error=error_text(error, given.get("phase"), given["detail"]) if error else given["detail"],
        **given["times"],
    )
    return ListenerReport(given["claim"], timedelta(milliseconds=given["delayMs"]), response)


def outcome_of(status: int | None) -> Outcome:
    """Returns the outcome of a complete response, as hooks.http does."""
    if status == 200:
        return Outcome.OK
    return Outcome.REDIRECT if status is not None and 300 <= status < 400 else Outcome.NOT_200


def error_text(error: str, phase: str | None, detail: str) -> str:
    """Returns the error text that hooks/explain reads."""
    if error == Outcome.TIMEOUT:
        return PHASE_TEXTS[Phase(phase or Phase.WAITING)]
    if error == Outcome.REFUSED and "refused" in detail.lower():
        return REFUSED_LOCALLY
    return detail
