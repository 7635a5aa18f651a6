"""Orders to fail: what the double of Telegram does instead of a proper response."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Any

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: send RST instead of FIN
GARBAGE = b"\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"
PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"


@dataclass
class Fault:
    """Applies to the next `times` calls of a method, any without a name, and of a bot, any without a token.

    `kind` is "error" (`status` with `description` and `parameters`), "page" (a proxy's HTML), "reset", "garbage" or
    "hang". If `is_done`, the method is carried out first: the message is sent, and the bot does not learn of it.
    """

    kind: str
    method: str = ""
    token: str = ""
    times: int = 1
    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, Any] = field(default_factory=dict)
    is_done: bool = False

    def applies_to(self, token: str, method: str) -> bool:
        return self.times > 0 and self.token in ("", token) and self.method.lower() in ("", method.lower())


def flood(seconds: int, **more: Any) -> Fault:
    """Returns an order for 429 with retry_after."""
    return Fault(
        "error",
        status=429,
        description=f"Too Many Requests: retry after {seconds}",
        parameters={"retry_after": seconds},
        **more,
    )


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.close()
