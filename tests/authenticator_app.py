"""The codes of an authenticator app."""

import time

from allauth.mfa import app_settings
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value


def code_of(secret: str, *, periods_ago: int = 0) -> str:
    """Returns what the app shows now, or showed some periods of 30 s ago. The site accepts it for at least 30 s."""
    period = int(time.time()) // app_settings.TOTP_PERIOD - periods_ago
    return format_hotp_value(hotp_value(secret, period))
