"""Message templates, which the messenger has approved, for people who have not written lately (contract.md §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.text import capfirst

from instances import value_parsing
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.channels.links import link_of_instance
from instances.channels.masking import mask_text
from instances.channels.receiving import ReceiveFailed
from instances.channels.templates import HasTemplates
from instances.contract.arguments import Argument, Destination, last_if_repeated, text
from instances.contract.errors import CallFailed, WireError
from instances.contract.registry import method
from instances.contract.sending.messages import accept
from instances.contract.sending.send_arguments import required_text
from instances.limits import waiting_threads
from instances.models import Instance
from instances.receiving.messenger_calls import call_messenger

MAX_PARAMS = 100
MAX_LENGTH = 1024  # characters of a value
PARAMS = "an array of texts, which fill in {{1}}, {{2}} … of the template's body, or of WhatsApp's component objects"
NO_TEMPLATES = "this instance's messenger has no message templates."


def params(wire: str) -> Argument:
    """The values of a template: texts, or objects with a `type`. A form may send the array as JSON text."""

    def parse(value: Any) -> list[Any]:
        found = value_parsing.json_array(last_if_repeated(value))
        found = [] if found is None or found == "" else found if isinstance(found, list) else [found]
        if len(found) > MAX_PARAMS:
            raise ValueError(f"at most {MAX_PARAMS} values")
        if found and all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in found):
            return found
        if any(isinstance(one, Mapping | list) or one is None for one in found):
            raise ValueError(PARAMS)
        texts = [value_parsing.parse_text(one) for one in found]
        if any(len(one) > MAX_LENGTH for one in texts):
            raise ValueError(f"texts of at most {MAX_LENGTH} characters")
        return texts

    return Argument(wire, parse, PARAMS, {"type": "array", "items": {}}, default=[])


@method(
    "sendTemplate",
    "POST",
    failure_key="sent",
    arguments=(
        Destination(),
        required_text("template", "the template's name", max_length=512),
        text("language", "the template's language, such as en_US", default="en_US", max_length=20),
        params("params"),
    ),
)
def send_template(
    instance: Instance, *, chat_id: str, template: str, language: str, params: Sequence[Any]
) -> dict[str, Any]:
    """Sends a message template. Its body here is the template's name with the texts that fill it in."""
    if not isinstance(channel_of(instance), HasTemplates):
        raise CallFailed(f"Message was not sent: {NO_TEMPLATES}")
    texts = [one for one in params if isinstance(one, str)]
    components = (
        [{"type": "body", "parameters": [{"type": "text", "text": one} for one in texts]}]
        if texts
        else list(params)
    )
    named = {"name": template.strip(), "language": {"code": language.strip() or "en_US"}}
    return accept(
        instance,
        chat_id=chat_id,
        body=f"{template.strip()}: {', '.join(texts)}" if texts else template.strip(),
        metadata={"template": named | ({"components": components} if components else {})},
    )


@method("templates", "GET")
def templates(instance: Instance) -> dict[str, Any]:
    """Returns the message templates of the account, as the messenger lists them now. Waits up to 15 s for it."""
    channel = channel_of(instance)
    if not isinstance(channel, HasTemplates):
        raise WireError(400, capfirst(NO_TEMPLATES))
    link = link_of_instance(instance)
    with waiting_threads.slots.hold(instance.owner_id) as is_free:
        if not is_free:
            raise WireError(429, "Too many calls wait for messengers now. Try again in a few seconds.")
        try:
            found = call_messenger(lambda network: channel.templates(link, network))
        except CannotDo as error:
            raise WireError(400, str(error)) from None
        except (ReceiveFailed, OSError) as error:
            raise WireError(502, mask_text(str(error), link)) from None
    return {
        "templates": [
            {
                "name": one.name,
                "language": one.language,
                "status": one.status,
                "category": one.category,
                "components": list(one.components),
            }
            for one in found
        ]
    }
