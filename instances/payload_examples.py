"""Chats, messages and settings for the examples of the wire contract, REST and their documentation."""

CHAT = "17680561234@c.us"
GROUP = "15550001111-1479621234@g.us"
MEMBER = "15550003333@c.us"
SENT = "true_17680561234@c.us_3EB0957AD66BAFF57D1D"
RECEIVED = "false_17680561234@c.us_5C5A2D1F0B6E4A3D9C8B7A6F5E4D3C2B"
TO = {"chatId": CHAT}
SITE = "https://chat.example.com"
# The smallest image and the beginning of a voice message, short enough to paste.
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
        "labels": ["5"],
        "participantsInfo": [{"id": "15550001111@c.us", "name": "Shop"}, {"id": MEMBER, "name": "Ben"}],
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
