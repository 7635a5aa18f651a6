"""Word, colour and icon of every state a page shows. The only table of them; keys are plain strings."""

from typing import NamedTuple


class Look(NamedTuple):
    """How a state is shown: a word, a Tabler colour, and an icon in static/vendor/tabler-icons."""

    word: str
    color: str
    icon: str


# hooks.models.State
HOOK_STATES = {
    "queued": Look("Queued", "secondary", "clock"),
    "sending": Look("Sending", "azure", "send"),
    "retrying": Look("Retrying", "orange", "repeat"),
    "delivered": Look("Delivered", "green", "circle-check"),
    "failed": Look("Failed", "red", "circle-x"),
    "skipped": Look("Skipped", "secondary", "player-skip-forward"),
    "cancelled": Look("Cancelled", "secondary", "ban"),
}
# instances.models.MessageState
MESSAGE_STATES = {
    "queued": Look("Queued", "secondary", "clock"),
    "sending": Look("Sending", "azure", "send"),
    "sent": Look("Sent", "azure", "check"),
    "delivered": Look("Delivered", "green", "checks"),
    "viewed": Look("Viewed", "green", "eye"),
    "failed": Look("Failed", "red", "circle-x"),
}
# instances.turns.responses.ResponseState
RESPONSE_STATES = {
    "responded": Look("Responded", "green", "arrow-back-up"),
    "waiting": Look("Waiting for a response", "azure", "clock"),
    "none": Look("No response", "orange", "alert-triangle"),
    "not_delivered": Look("Not delivered", "red", "circle-x"),
}
# instances.turns.matching.Certainty
CERTAINTIES = {
    "certain": Look("Certain", "green", "circle-check"),
    "likely": Look("Likely", "azure", "circle-check"),
    "possible": Look("Possible", "orange", "help-circle"),
}
# instances.models.TryResult
TRY_RESULTS = {
    "sent": Look("Sent", "green", "circle-check"),
    "refused": Look("Refused", "red", "circle-x"),
    "retry": Look("Not sent", "orange", "alert-triangle"),
    "unlinked": Look("Not linked", "red", "circle-x"),
    "unknown": Look("Response not recorded", "orange", "help-circle"),
}
# hooks.models.Verdict
VERDICTS = {
    "delivered": HOOK_STATES["delivered"],
    "not_200": Look("Responded, but not with 200", "orange", "alert-triangle"),
    "no_complete_response": Look("No complete response", "red", "alert-triangle"),
    "not_reached": Look("Not reached", "red", "circle-x"),
}
# hooks.models.JobState
JOB_STATES = {
    "planned": Look("Planned", "secondary", "clock"),
    "running": Look("Running", "azure", "player-play"),
    "paused": Look("Paused", "orange", "player-pause"),
    "finished": Look("Finished", "green", "circle-check"),
    "cancelled": Look("Cancelled", "secondary", "ban"),
}
# A finished job, by the results of its hooks (hooks.models.Redelivery.result)
JOB_RESULTS = {
    "delivering": Look("Waiting for responses", "azure", "send"),
    "all_failed": Look("Finished, all failed", "red", "circle-x"),
    "some_failed": Look("Finished, some failed", "orange", "alert-triangle"),
    "none_resent": Look("Finished, none resent", "secondary", "circle-dashed"),
}
# instances.models.AccountStatus, and `not_paid`, which replaces all the others
INSTANCE_STATES = {
    "init": Look("Starting", "azure", "loader-2"),
    "loading": Look("Loading", "azure", "loader-2"),
    "got qr code": Look("Waiting for the scan", "orange", "qrcode"),
    "authenticated": Look("Authenticated", "green", "circle-check"),
    "not_paid": Look("Not paid", "red", "credit-card"),
}
UNLINKED = Look("Not linked", "orange", "wifi-off")  # `init`, if a person has to link the account
# States of an endpoint (instances/pages/endpoints/cards.py)
ENDPOINT_STATES = {
    "active": Look("Active", "green", "circle-check"),
    "failing": Look("Failing", "red", "circle-x"),
    "last_failed": Look("Last attempt failed", "orange", "alert-triangle"),
    "not_connected": Look("No computer connected", "orange", "wifi-off"),
    "no_url": Look("No URL", "orange", "alert-triangle"),
    "paused": Look("Paused", "orange", "player-pause"),
    "stopped": Look("Stopped", "orange", "player-stop"),
}
# Instance.delivery_state, beside the instance's own state
DELIVERY_STATES = {
    "failing": Look("Webhook failing", "red", "circle-x"),
    "last_failed": Look("Last hook failed", "orange", "alert-triangle"),
    "paused": Look("Delivery paused", "orange", "player-pause"),
}
# hooks.models.IssueState
ISSUE_STATES = {
    "open": Look("Open", "red", "alert-triangle"),
    "acknowledged": Look("Acknowledged", "orange", "eye"),
    "resolved": Look("Resolved", "green", "circle-check"),
}
# States of a capture's signature (testing_tools/verification/reading)
SIGNATURE_STATES = {
    "valid": Look("Valid", "green", "shield-lock"),
    "invalid": Look("Invalid", "red", "alert-triangle"),
    "stale": Look("Too old", "orange", "clock"),
    "none": Look("Not signed", "secondary", "circle-dashed"),
    "unchecked": Look("Not checked", "secondary", "help-circle"),
}

# Whether a page's polls succeed; request-errors.js takes the words from <body>.
LIVE_STATES = {"on": "Live", "off": "Reconnecting…"}


def look(table: dict[str, Look], state: object) -> Look:
    """The look of `state`; an unknown state is shown as it is written."""
    return table.get(str(state)) or Look(str(state), "secondary", "circle-dashed")
