"""Parameters and examples shared by the sandbox's operations in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

CHAT_ID = OpenApiParameter(
    "chatId", str, OpenApiParameter.PATH, description="`17680561234@c.us`, or `…@g.us` for a group."
)
GROUP = {
    "id": "17680561234-1893488400@g.us",
    "name": "Holidays",
    "image": None,
    "metadata": {
        "isGroup": True,
        "participants": ["17680561234@c.us", "15550001234@c.us"],
        "admins": ["17680561234@c.us"],
        "groupInviteLink": "https://chat.example.com/invite/AbCdEfGhIjKlMnOpQrStUv",
    },
    "last_time": 1893488400,
}


def response_example(name: str, value: Any, *, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def request_example(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)
