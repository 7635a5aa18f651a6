"""The other half of each method's description: which group it belongs to, an example call, and its reply.

The methods themselves stand in registry.METHODS. test_documentation.py makes each of these calls and
compares the reply, key by key and type by type, so what the documents show is what the methods answer.
"""

from dataclasses import dataclass, field
from typing import Any

from instances.contract.registry import METHODS, Method

PNG = "image/png"  # the reply of the two methods that answer a picture


@dataclass(frozen=True)
class Example:
    """A call with these arguments, and its reply: a JSON object, or PNG."""

    reply: dict[str, Any] | str
    given: dict[str, Any] = field(default_factory=dict)


CHAT = "17680561234@c.us"
GROUP = "15550001111-1479621234@g.us"
MEMBER = "15550003333@c.us"
SENT = "true_17680561234@c.us_3EB0957AD66BAFF57D1D"
RECEIVED = "false_17680561234@c.us_5C5A2D1F0B6E4A3D9C8B7A6F5E4D3C2B"
TO = {"chatId": CHAT}
SITE = "https://chat.example.com"
# The smallest picture, and the beginning of a voice message: they make calls that can be pasted.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
VOICE = "data:audio/ogg;base64,T2dnUwACAAAAAAAAAAA="
VCARD = "BEGIN:VCARD\nVERSION:3.0\nN:;Ann;;;\nFN:Ann\nTEL;waid=17680561234:+17680561234\nEND:VCARD"

MESSAGE = {
    "id": RECEIVED,
    "body": "Hello",
    "fromMe": False,
    "self": 0,
    "isForwarded": 0,
    "author": CHAT,
    "time": 1794700800,
    "chatId": CHAT,
    "messageNumber": 102,
    "type": "chat",
    "senderName": "Ann",
    "caption": None,
    "quotedMsgBody": None,
    "quotedMsgId": None,
    "quotedMsgType": None,
    "chatName": "Ann",
    "metadata": None,
}
DIALOG = {
    "id": GROUP,
    "name": "Friends",
    "image": None,
    "metadata": {
        "isGroup": True,
        "participants": ["15550001111@c.us", MEMBER],
        "admins": ["15550001111@c.us"],
        "groupInviteLink": f"{SITE}/invite/Kq3vX9mBt0aZ",
    },
    "last_time": 1794700800,
}
SETTINGS = {
    "sendDelay": 0,
    "webhookUrl": "https://example.com/hook",
    "instanceStatuses": True,
    "webhookStatuses": True,
    "statusNotificationsOn": False,
    "ackNotificationsOn": True,
    "chatUpdateOn": False,
    "videoUploadOn": False,
    "proxy": None,
    "guaranteedHooks": False,
    "ignoreOldMessages": False,
    "oldMessagesPeriod": 300,
    "processArchive": False,
    "disableDialogsArchive": False,
    "parallelHooks": False,
}
LABEL = {"id": "5", "name": "Paid", "hexColor": "#ff9485"}


def sent(given: dict[str, Any], **more: Any) -> Example:
    """A send, whose reply all sends have."""
    reply = {"sent": True, "message": f"Sent to {CHAT}", "id": SENT, "queueNumber": 2223}
    return Example({**reply, **more}, {**TO, **given})


def of_chat(**given: Any) -> Example:
    return Example({"result": "success", "chatId": CHAT}, {**TO, **given})


def of_member(key: str, message: str) -> Example:
    reply = {key: True, "message": f"{MEMBER} {message}", "groupId": GROUP}
    return Example(reply, {"groupId": GROUP, "participantChatId": MEMBER})


# By the name of the group: the methods in the order in which documents show them.
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
                    "reason": None,
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
        "logout": Example({"accountStatus": "Logout request sent to WhatsApp"}),
        "takeover": Example({"accountStatus": "Takeover request sent to WhatsApp"}),
        "expiry": Example({"accountStatus": "Expiry request sent to WhatsApp"}),
        "retry": Example({"accountStatus": "Retry request sent to WhatsApp"}),
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
        "setName": Example({"success": True, "name": "Shop"}, {"name": "Shop"}),
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
        "sendMessage": sent({"body": "Hello!"}),
        "sendFile": sent({"body": PICTURE, "filename": "photo.png", "caption": "Look at this"}),
        "sendPTT": sent({"audio": VOICE}),
        "sendLink": sent({"body": "https://example.com/", "title": "Example", "previewBase64": PICTURE}),
        "sendContact": sent({"contactId": CHAT}),
        "sendVCard": sent({"vcard": VCARD}),
        "sendLocation": sent({"lat": 55.756693, "lng": 37.617778, "address": "Tverskaya 1, Moscow"}),
        "forwardMessage": sent({"messageId": RECEIVED}),
        "deleteMessage": sent({"messageId": SENT}),
    },
    "Reading": {
        "messages": Example(
            {"messages": [MESSAGE], "lastMessageNumber": 102}, {"lastMessageNumber": 101, "limit": 1}
        ),
        "messagesHistory": Example({"messages": [MESSAGE], "page": 0}, {"count": 1, "chatId": CHAT}),
        "dialogs": Example({"dialogs": [DIALOG]}, {"limit": 1}),
        "dialog": Example(DIALOG, {"chatId": GROUP}),
        "checkPhone": Example({"result": "exists"}, {"phone": "17680561234"}),
    },
    "Chats and groups": {
        "readChat": Example({"read": True, "message": "The chat was read", "chatId": CHAT}, TO),
        "unreadChat": of_chat(),
        "pinChat": of_chat(),
        "unpinChat": of_chat(),
        "archiveChat": of_chat(),
        "unarchiveChat": of_chat(),
        "clearChat": of_chat(),
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
        "addGroupParticipant": of_member("add", "was added to the group"),
        "removeGroupParticipant": of_member("remove", "was removed from the group"),
        "promoteGroupParticipant": of_member("promote", "is now an admin of the group"),
        "demoteGroupParticipant": of_member("demote", "is no longer an admin of the group"),
        "joinGroup": Example({"chatId": GROUP}, {"code": "Kq3vX9mBt0aZ"}),
        "leaveGroup": Example({"result": "The group was left"}, {"chatId": GROUP}),
        "labelsList": Example({"labels": [LABEL]}),
        "createLabel": Example({"success": True, "label": LABEL}, {"name": "New", "color": "#ff9485"}),
        "updateLabel": Example({"success": True, "label": LABEL}, {"labelId": "5", "name": "Paid"}),
        "removeLabel": Example({"success": True, "label": LABEL}, {"labelId": "5"}),
        "labelChat": of_chat(labelId="5"),
        "unlabelChat": of_chat(labelId="5"),
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
                "message": "447911123456 fits the mask: nothing that they write reaches the instance.",
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
    """Every method once, as documents list them: its group, itself, its example. KeyError: one is missing."""
    return [
        (group, METHODS[name], example) for group, found in GROUPS.items() for name, example in found.items()
    ]
