"""What the errors of streams and stanzas mean (RFC 6120, sections 4.9 and 8.3), and the sentences for them."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from instances.channels.receiving import LinkLost, ReceiveFailed, SessionTaken
from instances.channels.responses import words
from instances.channels.xmpp.xml import CLIENT, child, child_text, element

STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"

# What the user has to change: the password, or the account at the server.
LINK_LOST = {
    "not-authorized": "The server does not accept this JID and password.",
    "account-disabled": "The account was disabled at the server.",
    "credentials-expired": "The account's password has expired at the server.",
    "invalid-authzid": "The server does not accept this JID.",
}
STREAM_SENTENCES = {
    "conflict": "Another client has signed in with this account's resource.",
    "host-unknown": "The server does not serve the domain of this JID.",
    "host-gone": "The server no longer serves the domain of this JID.",
    "system-shutdown": "The server is shutting down.",
    "policy-violation": "The server has closed the stream for a violation of its policy, such as a rate limit.",
    "resource-constraint": "The server has not enough resources for this stream.",
    "see-other-host": "The server refers to another one, which is not followed. Enter that host.",
    "connection-timeout": "The server has waited too long for this client.",
}


class NotSent(ReceiveFailed):
    """Nothing can be sent on this stream any more; what was sent before may have arrived or not."""


class StanzaRefused(Exception):
    """The other side has responded with an error. `condition` is that of the stanza; the text is a sentence."""

    def __init__(self, stanza: Element) -> None:
        self.stanza = stanza
        self.condition, self.kind, self.said = error_in(stanza)
        super().__init__(sentence_of(self.condition, self.said))

    @property
    def is_temporary(self) -> bool:
        """Returns whether the same request may succeed later."""
        return self.kind == "wait" or self.condition == "internal-server-error"


def error_in(stanza: Element) -> tuple[str, str, str]:
    """Returns the condition, the type and the text of a stanza's error."""
    found = child(stanza, f"{{{CLIENT}}}error")
    condition, said = "undefined-condition", ""
    for each in found if found is not None else ():
        space, _, name = each.tag.rpartition("}")
        if space == f"{{{STANZA_ERRORS}" and name == "text":
            said = words(each.text or "")
        elif space == f"{{{STANZA_ERRORS}":
            condition = name
    return condition, (found.get("type", "") if found is not None else ""), said


SENTENCES = {
    "remote-server-not-found": "The recipient's server cannot be found.",
    "remote-server-timeout": "The recipient's server does not respond.",
    "service-unavailable": "The recipient does not exist, or cannot get messages now.",
    "item-not-found": "The recipient or room does not exist.",
    "recipient-unavailable": "The recipient cannot get messages now.",
    "not-acceptable": "The account is not in this room, or the message is not accepted there.",
    "forbidden": "The account is not allowed to do this.",
    "not-allowed": "The server does not allow this.",
    "registration-required": "Only members can enter this room.",
    "conflict": "The nickname is in use.",
    "jid-malformed": "This is not the JID of anyone.",
    "policy-violation": "The server's policy does not allow this.",
    "resource-constraint": "The server's limit was reached.",
    "gone": "The recipient no longer has this address.",
}


def sentence_of(condition: str, said: str) -> str:
    """Returns a sentence for an error, with the other side's words."""
    known = SENTENCES.get(condition, "The other side refuses this.").removesuffix(".")
    return f"{known} ({condition}{': ' if said else ''}{said.removesuffix('.')})."


def error_stanza(kind: str, condition: str, said: str = "") -> Element:
    """Returns an error as a server would send it."""
    text = [element(f"{{{STANZA_ERRORS}}}text", None, said)] if said else []
    error = element("error", {"type": "cancel"}, "", element(f"{{{STANZA_ERRORS}}}{condition}"), *text)
    return element(kind, {"type": "error"}, "", error)


def stream_failure(error: Element) -> ReceiveFailed:
    """Returns what the server's reason to close the stream means."""
    conditions = [each.tag.rpartition("}")[2] for each in error if not each.tag.endswith("}text")]
    condition, said = "".join(conditions[:1]), words(child_text(error, f"{{{STREAM_ERRORS}}}text"))
    known = LINK_LOST.get(condition) or STREAM_SENTENCES.get(condition, "The server has closed the stream.")
    sentence = f"{known.removesuffix('.')} ({condition}{': ' if said else ''}{said.removesuffix('.')})."
    if condition == "conflict":
        return SessionTaken(sentence)
    return LinkLost(sentence) if condition in LINK_LOST else ReceiveFailed(sentence)
