"""The requests to messengers that are in flight: starts them, and reads their responses."""

from __future__ import annotations

import logging

import pycurl
from django.conf import settings

from hooks.dispatch.transfers import Transfers
from hooks.http import Response, Transfer
from hooks.models import Outcome
from instances.channels.open_streams import is_to_stream
from instances.channels.requests import Failed, Local, Refused, Request, Uploaded, Wait
from instances.sending import tries
from instances.sending.request_bodies import open_body
from instances.sending.results import Results
from instances.sending.tries import Ended, Sending

log = logging.getLogger(__name__)

DEADLINE = settings.HOOKS_DEADLINE_MS / 1000  # of a request …
UPLOAD_DEADLINE = 120.0  # … and of one that uploads a file


class Requests:
    """Prepares, starts and finishes the requests of messages; their ends go to the results."""

    def __init__(self, transfers: Transfers, results: Results) -> None:
        self.transfers = transfers
        self.results = results

    def prepare(self, sending: Sending, uploaded: str | None = None) -> None:
        """Start the message's request, or that of its file."""
        queue = sending.queue
        try:
            prepared = queue.channel.prepare(sending.message, queue.link, uploaded)
        except Exception as error:  # one channel's failure must not stop the others
            log.exception("Preparing message %s failed", sending.outgoing.message_id)
            self.results.end_try(sending, Failed(f"this server could not prepare the request ({error})"))
            return
        match prepared:
            case Local():
                if not queue.lane.is_local:
                    queue.lane.become_local()
                self.results.add_result(Ended(queue, sending.outgoing, None))
            case Refused() | Wait():
                self.results.end_try(sending, prepared)
            case Request():
                sending.request = prepared
                self.start(sending, prepared)

    def start(self, sending: Sending, request: Request) -> None:
        is_file = bool(request.body_path)
        transfer = self.transfers.idle.pop() if self.transfers.idle and not is_file else Transfer()
        transfer.job = sending
        try:
            if is_file:
                sending.file = open_body(request)
            transfer.start_request(
                request.method,
                request.url,
                request.headers,
                request.body,
                file=sending.file,
                deadline=UPLOAD_DEADLINE if is_file or request.is_upload else DEADLINE,
                is_exempt=is_to_stream(request.url, sending.queue.link),
            )
            self.transfers.multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError, OSError) as error:  # one message must not stop the others
            self.free(transfer)
            self.results.end_try(sending, Failed(""), Response(Outcome.PROTOCOL, error=f"not sent: {error}"))

    def free(self, transfer: Transfer) -> None:
        sending, transfer.job = transfer.job, None
        if sending.file is None:
            self.transfers.idle.append(transfer)
            return
        sending.file.close()
        sending.file = None
        transfer.curl.close()

    def collect_finished(self) -> None:
        for transfer, code, message in self.transfers.finished():
            response = transfer.finish(code, message)
            self.transfers.multi.remove_handle(transfer.curl)
            sending: Sending = transfer.job
            self.free(transfer)
            try:
                result = tries.read_response(sending, response)
            except Exception as error:  # one channel's failure must not stop the others
                log.exception("Reading the response to message %s failed", sending.outgoing.message_id)
                result = Failed(f"this server could not read the response ({error})")
            if isinstance(result, Uploaded) and sending.request and sending.request.is_upload:
                self.prepare(sending, result.value)
            else:
                self.results.end_try(sending, result, response)
