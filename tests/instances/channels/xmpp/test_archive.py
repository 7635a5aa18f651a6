"""Reading an archive backwards loses no message, also if large ones do not fit into a page."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from xml.etree.ElementTree import Element

import pytest

from instances.channels.xmpp.archive import RSM, read_back
from instances.channels.xmpp.stream import MAM, PageResults, XmppStream
from instances.channels.xmpp.xml import parse


class Archive:
    """A stream to a server with this number of messages. Of a page, at most `fits` messages are kept."""

    def __init__(self, number: int, *, fits: int, server_page: int = 50) -> None:
        self.number, self.fits, self.server_page = number, fits, server_page
        self.asked: list[int] = []

    async def page(
        self, of: str, query: str, form: list[Element], *, seconds: float
    ) -> tuple[PageResults, Element]:
        most = int(form[-1].findtext(f"{{{RSM}}}max") or 0)
        before = form[-1].findtext(f"{{{RSM}}}before")
        self.asked.append(most)
        end = int(before) if before else self.number
        begin = max(0, end - min(most, self.server_page))
        found = PageResults(frozenset())
        for key in list(range(begin, end))[: self.fits]:
            found.found.append(
                parse(
                    f"<result xmlns='{MAM}' id='{key}'><forwarded xmlns='urn:xmpp:forward:0'>"
                    f"<message xmlns='jabber:client' id='m{key}'/></forwarded></result>".encode()
                )
            )
        found.is_cut = end - begin > self.fits
        complete = "true" if begin == 0 else "false"
        bounds = f"<set xmlns='{RSM}'><first>{begin}</first><last>{end - 1}</last></set>"
        return found, parse(f"<iq><fin xmlns='{MAM}' complete='{complete}'>{bounds}</fin></iq>".encode())


def read(archive: Archive, most: int) -> list[int]:
    async def main() -> list[int]:
        found: list[int] = []
        async for page in read_back(cast(XmppStream, archive), most=most):
            found[:0] = [int(each.id) for each in page.messages]
        return found

    return asyncio.run(main())


@pytest.mark.parametrize("fits", [1, 2, 7, 1_000])
@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 230])
def test_all_messages_are_read_whatever_fits_into_a_page(number: int, fits: int) -> None:
    assert read(Archive(number, fits=fits), 1_000) == list(range(number))


@pytest.mark.parametrize("fits", [7, 1_000])
def test_no_more_are_read_than_wanted(fits: int) -> None:
    assert read(Archive(500, fits=fits), 120) == list(range(380, 500))


def test_a_server_without_progress_ends_it() -> None:
    class Repeats(Archive):
        async def page(self, *given: Any, **more: Any) -> tuple[PageResults, Element]:
            given[2][-1].find(f"{{{RSM}}}before").text = None
            return await super().page(*given, **more)

    archive = Repeats(500, fits=1_000)
    assert len(read(archive, 1_000)) <= 100
    assert len(archive.asked) <= 2
