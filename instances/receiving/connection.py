"""One instance's connection to its messenger, as a task of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from instances.actions.received import NO_FILES, NotRecordedYet, ReceivedFiles
from instances.actions.receiver_states import (
    NotOwner,
    Overtaken,
    record_batch,
    record_failure,
    record_stream,
)
from instances.channels.masking import mask_text
from instances.channels.media import HasMedia
from instances.channels.open_streams import OpenStream
from instances.channels.receiving import Batch, LinkLost, Network, ReceiveFailed, Receiving, SessionTaken
from instances.channels.requests import Link
from instances.models import ChannelLink, Instance, ReceiverState
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread
from instances.receiving.files import FileFetcher, wanted_files
from instances.receiving.group_lookups import GroupLookups, wanted_lookups
from instances.receiving.stream_gateway import StreamGateway

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

log = logging.getLogger(__name__)

# Seconds before the next try after the first, second, … failure in a row: 1, 2, 4 … 300, ±20 %.
MAX_BACK_OFF = 300.0
MAX_DOUBLINGS = 16  # 2.0 ** 1024 is no float
JITTER = 0.2
# A stream that yields after as long as the pause before it, or after this many seconds, ends the failures in a row
# (Receiving.keeps_stream).
STEADY_SECONDS = 30.0
DATABASE_PAUSE = 1.0  # s between tries to record a batch while the database is away
# Seconds between tries to record an ack of a message that is being sent: 0.1, 0.2, 0.4 … At a messenger of streams it
# comes 2 ms after the message, before the sender has recorded that. Later events wait.
ACK_PAUSE = 0.1
ACK_TRIES = 6  # then it is left out
# After another client has taken over the session. Two that connect again by themselves would do so in turns.
UNTIL_TAKEN_BACK = timedelta(days=365)
ENDED = "The messenger ended the connection."


def back_off(failures: int) -> float:
    """Returns the seconds until the next try after this number of failures in a row."""
    return mean_pause(failures) * random.uniform(1 - JITTER, 1 + JITTER)


def mean_pause(failures: int) -> float:
    return min(2.0 ** min(failures - 1, MAX_DOUBLINGS), MAX_BACK_OFF)


def sentence_of(error: Exception) -> str:
    """Returns the reason of a failure, for people."""
    if isinstance(error, ReceiveFailed):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The messenger cannot be reached: {error.strerror}."
    return f"The messenger's response could not be read ({type(error).__name__}: {error})."


class Connection:
    """Receives for one instance until it is cancelled. `on_success` is called for each response without events."""

    def __init__(
        self,
        owner: int,
        stored: ChannelLink,
        link: Link,
        channel: Receiving,
        network: Network,
        files: FileFetcher,
        thread: DatabaseThread,
        on_success: Callable[[Connection], None],
        gateway: StreamGateway,
        lookups: GroupLookups,
    ) -> None:
        self.owner, self.link, self.channel, self.network = owner, link, channel, network
        self.files, self.thread, self.on_success = files, thread, on_success
        self.gateway, self.lookups = gateway, lookups
        self.stream: OpenStream | None = None  # through which messages are sent
        self.instance: Instance = stored.instance
        self.changed_at = stored.changed_at
        state: ReceiverState = stored.instance.receiver_state
        self.cursor, self.failures, self.next_try_at = state.cursor, state.failures, state.next_try_at
        self.is_shown_connected = state.connected_at is not None  # in the database
        self.success_recorded_at = float("-inf")  # by the loop's time
        self.task = asyncio.create_task(self.run())

    async def end(self) -> None:
        """Cancel the task, and wait until a batch that is being recorded is. One that waits for that is left out: the
        messenger reports it again.
        """
        self.task.cancel()
        await asyncio.wait([self.task])

    async def run(self) -> None:
        try:
            while True:
                await asyncio.sleep((self.next_try_at - timezone.now()).total_seconds())
                try:
                    await self.receive()
                    raise ReceiveFailed(ENDED)
                except (NotOwner, Instance.DoesNotExist):
                    raise
                except Exception as error:  # noqa: BLE001 - what a channel raises, even by a bug, is shown and retried
                    await self.fail(error)
        except (NotOwner, Instance.DoesNotExist):
            return  # the next look finds out who receives for it
        except Exception:
            log.exception("The connection of instance %s ended with an error", self.instance.number)

    async def receive(self) -> None:
        """Record what the channel yields, as long as it can."""
        loop = asyncio.get_running_loop()
        lasts_for = min(mean_pause(self.failures), STEADY_SECONDS) if self.channel.keeps_stream else 0.0
        steady_at = loop.time() + lasts_for
        batches: AsyncGenerator[Batch] = self.channel.receive(self.link, self.cursor, self.network)  # type: ignore[assignment]  # PEP 525
        try:
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    if batch.events or batch.cursor != self.cursor:
                        await self.record(batch)
                        self.is_shown_connected = True
                    else:
                        self.on_success(self)
                    if batch.stream is not None:
                        await self.offer(batch.stream)
                    if loop.time() >= steady_at:
                        self.failures = 0
        finally:
            self.withdraw()

    async def offer(self, stream: OpenStream) -> None:
        """Have senders send through this connection. Raises NotOwner."""
        self.withdraw()
        url = await self.gateway.offer(self.instance.number, stream)
        self.stream = stream
        while True:
            try:
                await self.thread.submit(record_stream, self.instance, owner=self.owner, url=url)
                return
            except UNREACHABLE:
                await asyncio.sleep(DATABASE_PAUSE)

    def withdraw(self) -> None:
        """Take no more requests of senders. The failure, or the end of this run, tells them so."""
        if self.stream is not None:
            self.gateway.withdraw(self.instance.number, self.stream)
            self.stream = None

    async def record(self, batch: Batch) -> None:
        """Fetch the files of a batch and record it, however long the database is away; a look may be left out.

        Raises:
            NotOwner, Instance.DoesNotExist: another receiver has the instance, or it was deleted.
            DatabaseError: the database refuses the batch: a failure, which is shown and tried again.
        """
        tries, files = 0, None
        while True:
            tries += 1
            try:
                if files is None:
                    files = await self.fetch_files(batch)
                recorded = await self.thread.run_unless_cancelled(
                    record_batch,
                    self.instance,
                    owner=self.owner,
                    old_cursor=self.cursor,
                    cursor=batch.cursor,
                    reported=batch.events,
                    is_patient=tries <= ACK_TRIES,
                    files=files,
                    seen_at=batch.look.began_at if batch.look else None,
                )
                break
            except Overtaken:
                if batch.look:
                    batch.look.is_left_out = True
                return
            except NotRecordedYet:
                await asyncio.sleep(ACK_PAUSE * 2.0 ** (tries - 1))
            except (OperationalError, InterfaceError) as error:
                log.warning(
                    "instance %s: the database does not respond (%s)",
                    self.instance.number,
                    str(error).strip().split("\n")[0],
                )
                await asyncio.sleep(DATABASE_PAUSE)
        self.cursor = batch.cursor
        self.lookups.start(wanted_lookups(self.instance, self.link, self.channel, batch.events))
        for sentence in recorded.refused:
            log.warning("instance %s: an event was refused: %s", self.instance.number, sentence)

    async def fetch_files(self, batch: Batch) -> ReceivedFiles:
        """Returns the files of a batch. No query if it has none."""
        if not isinstance(self.channel, HasMedia) or not any(
            getattr(event, "media", None) for event in batch.events
        ):
            return NO_FILES
        await self.thread.submit(self.instance.refresh_from_db, fields=["video_upload_on"])
        wanted = wanted_files(self.instance, batch.events)
        return await self.files.fetch_all(self.instance, self.link, self.channel, wanted)

    async def fail(self, error: Exception) -> None:
        """Record the failure, and when it is tried again. Raises NotOwner, Instance.DoesNotExist."""
        self.failures += 1
        is_lost, is_taken = isinstance(error, LinkLost), isinstance(error, SessionTaken)
        asked = error.seconds if isinstance(error, ReceiveFailed) else None
        seconds = asked if asked is not None else MAX_BACK_OFF if is_lost else back_off(self.failures)
        pause = UNTIL_TAKEN_BACK if is_taken else timedelta(seconds=min(max(seconds, 0.0), 3600.0))
        self.next_try_at = datetime.now(UTC) + pause
        self.is_shown_connected = False
        if is_lost:
            self.gateway.refuse(self.instance.number, mask_text(sentence_of(error), self.link))
        if not isinstance(error, ReceiveFailed | OSError):
            log.warning("instance %s: receiving failed", self.instance.number, exc_info=error)
        try:
            await self.thread.submit(
                record_failure,
                self.instance,
                owner=self.owner,
                linked_at=self.changed_at,
                error=mask_text(sentence_of(error), self.link),
                failures=self.failures,
                next_try_at=self.next_try_at,
                is_link_lost=is_lost,
                is_session_taken=is_taken,
            )
        except UNREACHABLE:
            await asyncio.sleep(DATABASE_PAUSE)  # the failure is not shown; the connection is tried again
