"""A WAHA server as a small real server: its sessions, each the phone of a person, and the people who write to it.

`with Waha() as waha:` serves it at `waha.url`, for the key `waha.api_key`; any number of them run at a time. What a
client makes by the API is in `waha.sessions`; the methods of a Session are what its phone and its people do. Ids and
times are counted, so a test sees the same ones in each run. `session.faults` has the next responses to messages.

Events are sent to the webhooks of a session as WAHA does: signed, and again after a pause if the response is no 2xx,
while the next ones are sent. The pauses are shorter here.
"""

from tests.doubles.waha.server import Waha
from tests.doubles.waha.state import ENGINES, Fault, Session
from tests.doubles.waha.webhooks import sign

__all__ = ["ENGINES", "Fault", "Session", "Waha", "sign"]
