"""The documentation of each method besides its arguments: its group, an example call, and its reply.

test_documentation.py makes each of these calls and compares the reply, key by key and type by type.
"""

from dataclasses import dataclass, field
from typing import Any

from instances.contract.registry import METHODS, Method
from instances.payload_examples import (
    CHAT,
    DIALOG,
    GROUP,
    LABEL,
    MEMBER,
    MESSAGE,
    PICTURE,
    RECEIVED,
    SENT,
    SETTINGS,
    SITE,
    TO,
    VCARD,
    VOICE,
)

PNG = "image/png"  # the reply of the two methods that return an image


@dataclass(frozen=True)
class Example:
    """A call with these arguments, and its reply: a JSON object, or PNG."""

    reply: dict[str, Any] | str
    given: dict[str, Any] = field(default_factory=dict)


def sending_example(given: dict[str, Any], **more: Any) -> Example:
    """A send method. All have the same reply."""
    reply = {"sent": True, "message": f"Sent to {CHAT}", "id": SENT, "queueNumber": 2223}
    return Example({**reply, **more}, {**TO, **given})


def chat_example(**given: Any) -> Example:
    return Example({"result": "success", "chatId": CHAT}, {**TO, **given})


def member_example(key: str, message: str) -> Example:
    reply = {key: True, "add": True, "message": f"{MEMBER} {message}", "groupId": GROUP}
    return Example(reply, {"groupId": GROUP, "participantChatId": MEMBER})


def button_example(what: str) -> Example:
    sentence = f"{what} request sent to WhatsApp"
    return Example({"accountStatus": sentence, "result": sentence})


# By the name of the group: the methods in the order of the documentation.
GROUPS: dict[str, dict[str, Example]] = {
    "Instance": {
        "status": Example(
            {
                "accountStatus": "authenticated",
                "statusData": {
                    "substatus": "normal",
                    "title": "Connected",
                    "msg": "Everything is fine.",
                    "submsg": "Keep the phone connected to the internet.",
                    "actions": {
                        "logout": {"act": "logout", "label": "Log out"},
                        "learn_more": {"label": "Learn more", "link": f"{SITE}/instances/12345/"},
                    },
                },
            },
            {"full": True},
        ),
        "qr_code": Example(PNG),
        "screenshot": Example(PNG),
        "logout": button_example("Logout"),
        "takeover": button_example("Takeover"),
        "expiry": button_example("Expiry"),
        "retry": button_example("Retry"),
        "reboot": Example({"success": True}),
        "me": Example(
            {
                "id": "15550001111@c.us",
                "battery": "90",
                "locale": "en",
                "name": "Shop",
                "wa_version": "sandbox",
                "device": {"os_version": "1.0", "manufacturer": "Chat API", "model": "Sandbox phone"},
            }
        ),
        "setName": Example({"success": True, "name": "Shop", "pushname": "Shop"}, {"name": "Shop"}),
        "setStatus": Example({"success": True, "status": "Open till six"}, {"status": "Open till six"}),
        "outputIP": Example({"address": "192.0.2.7"}),
        "instanceStatuses": Example(
            {"data": [{"date": "2026-11-22T16:25:09Z", "status": "authenticated"}]}, {"min_time": 1763800000}
        ),
    },
    "Settings": {
        "settings": Example(
            {**SETTINGS, "update": {"ackNotificationsOn": True}, "updated": {"ackNotificationsOn": True}},
            {"ackNotificationsOn": True},
        ),
    },
    "Sending": {
        "sendMessage": sending_example({"body": "Hello!"}),
        "sendFile": sending_example({"body": PICTURE, "filename": "photo.png", "caption": "Look at this"}),
        "sendPTT": sending_example({"audio": VOICE}),
        "sendLink": sending_example(
            {"body": "https://example.com/", "title": "Example", "previewBase64": PICTURE}
        ),
        "sendContact": sending_example({"contactId": CHAT}),
        "sendVCard": sending_example({"vcard": VCARD}),
        "sendLocation": sending_example(
            {"lat": 55.756693, "lng": 37.617778, "address": "Tverskaya 1, Moscow"}
        ),
        "sendTemplate": sending_example(
            {"template": "appointment", "language": "en_US", "params": ["Ann", "10 March"]}
        ),
        "forwardMessage": sending_example({"messageId": RECEIVED}),
        "deleteMessage": sending_example({"messageId": SENT}),
    },
    "Reading": {
        "messages": Example(
            {"messages": [{**MESSAGE, "ack": None}], "lastMessageNumber": 102},
            {"lastMessageNumber": 101, "limit": 1},
        ),
        "messagesHistory": Example(
            {"messages": [{**MESSAGE, "ack": None}], "page": 0}, {"count": 1, "chatId": CHAT}
        ),
        "dialogs": Example({"dialogs": [DIALOG]}, {"limit": 1}),
        "dialog": Example(DIALOG, {"chatId": GROUP}),
        "checkPhone": Example({"result": "exists"}, {"phone": "17680561234"}),
        "templates": Example(
            {
                "templates": [
                    {
                        "name": "hello_world",
                        "language": "en_US",
                        "status": "APPROVED",
                        "category": "UTILITY",
                        "components": [{"type": "BODY", "text": "Hello World"}],
                    }
                ]
            }
        ),
    },
    "Chats and groups": {
        "readChat": Example({"read": True, "message": "The chat was read", "chatId": CHAT}, TO),
        "unreadChat": chat_example(),
        "pinChat": chat_example(),
        "unpinChat": chat_example(),
        "archiveChat": chat_example(),
        "unarchiveChat": chat_example(),
        "clearChat": chat_example(),
        "removeChat": Example({"result": "The chat was removed"}, TO),
        "typing": Example(
            {"success": True, "result": f"Typing is shown to {CHAT} for 5 seconds"}, {**TO, "duration": 5}
        ),
        "recording": Example(
            {"success": True, "result": f"Recording is shown to {CHAT} for 5 seconds"}, {**TO, "duration": 5}
        ),
        "group": Example(
            {
                "created": True,
                "message": "Group created",
                "chatId": GROUP,
                "groupInviteLink": f"{SITE}/invite/Kq3vX9mBt0aZ",
            },
            {"groupName": "Friends", "phones": ["17680561234", "15550003333"], "messageText": "Welcome!"},
        ),
        "addGroupParticipant": member_example("add", "was added to the group"),
        "removeGroupParticipant": member_example("remove", "was removed from the group"),
        "promoteGroupParticipant": member_example("promote", "is now an admin of the group"),
        "demoteGroupParticipant": member_example("demote", "is no longer an admin of the group"),
        "joinGroup": Example({"chatId": GROUP}, {"code": "Kq3vX9mBt0aZ"}),
        "leaveGroup": Example({"result": "The group was left"}, {"chatId": GROUP}),
        "labelsList": Example({"labels": [LABEL]}),
        "createLabel": Example({"success": True, "label": LABEL}, {"name": "New", "color": "#ff9485"}),
        "updateLabel": Example({"success": True, "label": LABEL}, {"labelId": "5", "name": "Paid"}),
        "removeLabel": Example({"success": True, "label": LABEL}, {"labelId": "5"}),
        "labelChat": chat_example(labelId="5"),
        "unlabelChat": chat_example(labelId="5"),
    },
    "Webhook, queues, bans": {
        "webhook": Example(
            {"set": True, "message": "https://example.com/hook"}, {"webhookUrl": "https://example.com/hook"}
        ),
        "webhookStatus": Example(
            {"msgId": RECEIVED, "time": 1794700801, "status": "sent"}, {"msgId": RECEIVED}
        ),
        "repeatHook": Example(
            {"success": True, "message": "The hook is queued.", "messageId": RECEIVED},
            {"messageId": RECEIVED},
        ),
        "showMessagesQueue": Example(
            {
                "totalMessages": 1,
                "first100": [
                    {
                        "id": 2223,
                        "body": "Hello!",
                        "type": "chat",
                        "chatId": CHAT,
                        "last_try": 0,
                        "metadata": {},
                    }
                ],
            }
        ),
        "clearMessagesQueue": Example(
            {"message": "1 message was removed from the queue.", "messageTextsExample": ["Hello!"]}
        ),
        "showActionsQueue": Example(
            {
                "totalActions": 1,
                "first100": [
                    {"id": 17, "type": "read chat", "last_try": 0, "json_data": {"chatId": CHAT}},
                ],
            }
        ),
        "clearActionsQueue": Example({"message": "Cleared 1 actions", "actionsExample": ["read chat"]}),
        "banSettings": Example(
            {"set": True, "banPhoneMask": "^44", "preBanMessage": "We do not answer this number."},
            {"banPhoneMask": "^44", "preBanMessage": "We do not answer this number."},
        ),
        "banTest": Example(
            {
                "banned": True,
                "message": "447911123456 matches the mask: its messages and calls do not reach the instance.",
                "phone": "447911123456",
                "banPhoneMask": "^44",
            },
            {"phone": "447911123456"},
        ),
    },
    "Instances API": {
        "newInstance": Example(
            {
                "result": {
                    "status": "created",
                    "instance": {
                        "id": "12345",
                        "apiUrl": f"{SITE}/instance12345/",
                        "token": "83763g87x4f2c1d0a9b8e7f6",
                    },
                }
            },
            {"type": "sandbox", "name": "Shop"},
        ),
        "listInstances": Example(
            {
                "result": [
                    {
                        "id": "12345",
                        "name": "Shop",
                        "apiUrl": f"{SITE}/instance12345/",
                        "type": "sandbox",
                        "stopped": False,
                        "paymentsCount": 1,
                        "paidTill": 1797292800,
                    }
                ]
            }
        ),
        "cleanInstance": Example({"result": {"status": "cleaned"}}, {"instanceId": "12345"}),
        "deleteInstance": Example({"result": {"status": "deleted"}}, {"instanceId": "12345"}),
    },
}


def described() -> list[tuple[str, Method, Example]]:
    """Every method once, in the order of the documentation: (group, method, example). KeyError: an unknown name."""
    return [
        (group, METHODS[name], example) for group, found in GROUPS.items() for name, example in found.items()
    ]
