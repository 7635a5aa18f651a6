"""Which ids of messages a channel takes for its own messenger's."""

from __future__ import annotations

import pytest

from instances.channels import CHANNELS
from instances.channels.own_ids import RecognisesIds, own_id

IDS = {
    "telegram": "700000001:-100:5",
    "whatsapp_cloud": "wamid.HBgLMTc2ODA1",
    "waha": "3EB0C767D097B7C7C030",
    "matrix": "$event:example.org",
}


@pytest.mark.parametrize("name", IDS)
def test_a_channel_knows_the_ids_of_its_own_messenger_only(name: str) -> None:
    channel = CHANNELS[name]
    assert isinstance(channel, RecognisesIds)
    assert [given for given in IDS.values() if own_id(channel, given)] == [IDS[name]]


def test_a_channel_without_a_form_of_its_own_takes_any_id() -> None:
    assert own_id(CHANNELS["sandbox"], "wamid.1") == "wamid.1"
