"""libpq's refusal of a server that accepts no writes, such as a standby: settings force target_session_attrs."""

REFUSAL = "session is read-only"


def is_read_only_refusal(error: Exception) -> bool:
    return REFUSAL in str(error)
