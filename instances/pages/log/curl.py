"""An attempt as a curl line for a POSIX shell, so that it can be made again from any machine."""

import shlex

from hooks.models import Attempt

# curl makes these itself
OWN = {"content-length", "host", "accept", "accept-encoding", "expect", "connection"}


def curl_line(attempt: Attempt, body: bytes) -> str:
    """The same POST with the same headers. The signature stays valid as long as a verifier allows: 5 minutes."""
    words = ["curl", "-i", "-X", "POST", attempt.url]
    for name, value in attempt.request_headers:
        if name.lower() not in OWN:
            words += ["-H", f"{name}: {value}"]
    words += ["--data-raw", body.decode("utf-8", "replace")]
    lines = [shlex.join(words[:5])] + [shlex.join(words[at : at + 2]) for at in range(5, len(words), 2)]
    return " \\\n  ".join(lines)
