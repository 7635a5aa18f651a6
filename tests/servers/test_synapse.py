"""The real Matrix homeserver of the tests: people talk over it, and a kill loses nothing that it has accepted."""

from __future__ import annotations

import pytest

from tests.servers.synapse import Synapse

pytestmark = pytest.mark.timeout(600)


def test_people_talk_as_fast_as_they_can_and_a_kill_loses_nothing(synapse: Synapse) -> None:
    ann, ben = synapse.register("ann-of-synapse"), synapse.register("ben-of-synapse")
    room = ann.create_room(ben.user, is_direct=True)
    ben.join(room)
    bodies = [str(number) for number in range(30)]
    for body in bodies:
        ann.write(room, body)
    uri = ann.upload(b"a file", "text/plain", "file.txt")
    synapse.kill()
    synapse.start()
    assert ben.bodies(room) == bodies
    assert ben.download(uri) == b"a file"
