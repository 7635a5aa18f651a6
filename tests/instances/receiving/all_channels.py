"""The test channels by name."""

from instances.channels.base import Channel
from tests.instances.channels.notepad import Pad
from tests.instances.receiving import pushing

TEST_CHANNELS: dict[str, Channel] = {pushing.NAME: pushing.PushingChannel(Pad())}
