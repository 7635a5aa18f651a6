"""The choices of the delivery engine (kinds, states, outcomes, reasons), and the delays between attempts."""

from datetime import timedelta

from django.db import models

# The delay before the first, second, … twentieth attempt of a hook with guaranteedHooks:
# 0, 5, 15, 30 s, 1, 2, 5, 10, 20, 30 min, 1, 2, 3, 4, 6, 6, 8, 10, 12, 12 h; a total of 65 h 8 min 50 s.
# hooks/retries.py adds the jitter and honours Retry-After.
RETRY_DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        0, 5, 15, 30,
        60, 120, 300, 600, 1200, 1800,
        3600, 7200, 10800, 14400, 21600, 21600, 28800, 36000, 43200, 43200,
    )
)  # fmt: skip


GUARANTEED_ATTEMPTS = len(RETRY_DELAYS)
# Pages say so when all deliveries have failed for this long; occasional failures are in the log.
SAY_FAILING_AFTER = timedelta(minutes=15)


class PauseReason(models.TextChoices):
    FAILING = "failing", "all deliveries failed for 24 hours"
    BY_HAND = "by_hand", "paused manually"
    STOPPED = "stopped", "the instance is stopped"


class Kind(models.TextChoices):
    MESSAGE = "message", "Message"
    ACK = "ack", "Ack"
    STATUS = "status", "Status"
    CHAT = "chat", "Chat change"


class Direction(models.TextChoices):
    """The direction of a message, seen from the instance."""

    IN = "in", "Received"
    OUT = "out", "Sent"


class ChatKind(models.TextChoices):
    DIRECT = "direct", "Direct chats"
    GROUP = "group", "Groups"


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    RETRYING = "retrying", "Retrying"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (State.QUEUED, State.SENDING, State.RETRYING)
WAITING = (State.QUEUED, State.RETRYING)  # not being sent now


class SkipReason(models.TextChoices):
    FLAG_OFF = "flag_off", "turned off in the instance's settings"
    NO_ADDRESS = "no_address", "the instance has no webhook URL"
    TYPED_ON_PHONE = "typed_on_phone", "typed on the phone: no acks are sent"
    TOO_OLD = "too_old", "older than oldMessagesPeriod"
    ARCHIVED = "archived", "the chat is archived, and processArchive is off"
    NOT_PAID = "not_paid", "the instance is not paid"
    STOPPED = "stopped", "the instance is stopped"
    BLOCKED = "blocked", "the account is blocked"
    BY_HAND = "by_hand", "skipped manually"


class Outcome(models.TextChoices):
    OK = "ok", "Delivered"
    NOT_200 = "not_200", "Responded, but not with 200"
    DNS = "dns", "Name not found"
    REFUSED = "refused", "Connection refused"
    TIMEOUT = "timeout", "Timed out"
    TLS = "tls", "TLS error"
    RESET = "reset", "Connection closed early"
    BLOCKED = "blocked", "Address not allowed"
    REDIRECT = "redirect", "Redirect"
    TOO_LARGE = "too_large", "Headers too large"
    PROTOCOL = "protocol", "Invalid HTTP response"


class Verdict(models.TextChoices):
    """The result of an attempt in one of four words."""

    DELIVERED = "delivered", "Delivered"
    NOT_200 = "not_200", "Responded, but not with 200"
    NO_COMPLETE_RESPONSE = "no_complete_response", "No complete response"
    NOT_REACHED = "not_reached", "Not reached"


class Phase(models.TextChoices):
    """The phases of an attempt, in order."""

    DNS = "dns", "DNS"
    CONNECT = "connect", "Connect"
    TLS = "tls", "TLS"
    WAITING = "waiting", "Waiting for the response"
    DOWNLOAD = "download", "Download"


class ResponseClass(models.TextChoices):
    OK = "200", "200"
    OTHER_2XX = "2xx", "2xx, but not 200"
    REDIRECT = "3xx", "3xx redirects"
    CLIENT_ERROR = "4xx", "4xx"
    SERVER_ERROR = "5xx", "5xx and above"
    NONE = "none", "no response"


class Side(models.TextChoices):
    """Where the cause of a failed attempt is."""

    SERVER = "server", "Server"  # this product or its configuration
    ENDPOINT = "endpoint", "Endpoint"  # the user's server
    BETWEEN = "between", "Between"  # the network, names, certificates in transit


class Trigger(models.TextChoices):
    EVENT = "event", "Event"
    RETRY = "retry", "Retry"
    RESEND = "resend", "Resend"
    SIMULATION = "simulation", "Simulation"


class JobState(models.TextChoices):
    PLANNED = "planned", "Planned"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


OPEN_JOBS = (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED)


class Role(models.TextChoices):
    DISPATCH = "dispatch", "Dispatcher"
    OUTGOING = "outgoing", "Outgoing queue"
    REDELIVERY = "redelivery", "Redelivery"
    RECEIVING = "receiving", "Receiver"
