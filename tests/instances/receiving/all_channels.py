"""The test channels by name."""

from instances.channels.base import Channel
from tests.instances.channels.notepad import Pad
from tests.instances.receiving import desk, polling, pushing, streaming
from tests.instances.sending import numbering

TEST_CHANNELS: dict[str, Channel] = {
    pushing.NAME: pushing.PushingChannel(Pad()),
    polling.NAME: polling.PollingChannel(Pad()),
    streaming.NAME: streaming.StreamingChannel(Pad()),
    numbering.NAME: numbering.NumberingChannel(),
    desk.NAME: desk.DeskChannel(Pad()),
}
