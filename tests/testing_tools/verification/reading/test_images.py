"""Pictures in a capture are shown, and nothing else that a sender calls one."""

import base64

import pytest
from django.test import Client

from accounts.actions.share_links import VALID_FOR
from instances.models import Instance
from testing_tools.sample_files import HEIGHT, WIDTH, draw_picture
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Bin, Capture
from testing_tools.verification.reading.images import Image, read_image

pytestmark = pytest.mark.django_db
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WEBP_LOSSY = base64.b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
WEBP_LOSSLESS = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="photo"; filename="sky.svg"\r\nContent-Type: image/svg+xml\r\n\r\n'
    + draw_picture()
    + b'\r\n--x\r\nContent-Disposition: form-data; name="logo"; filename="logo.png"\r\nContent-Type: image/png\r\n\r\n'
    + SVG
    + b"\r\n--x--\r\n"
)


def png_header(width: int, height: int) -> bytes:
    return draw_picture()[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + draw_picture()[24:]


@pytest.fixture
def bin(instance: Instance) -> Bin:
    return bin_actions.open_bin(instance)


def capture(bin: Bin, body: bytes, type: str) -> Capture:
    stored = capture_actions.capture(bin.key, method="POST", body=body, headers=[("Content-Type", type)])
    assert stored is not None
    return Capture.objects.get(bin=bin, number=stored.number)


def test_the_type_and_the_size_come_from_the_bytes() -> None:
    assert read_image(draw_picture()) == Image("image/png", WIDTH, HEIGHT)
    assert read_image(GIF) == Image("image/gif", 1, 1)
    assert read_image(WEBP_LOSSY) == read_image(WEBP_LOSSLESS) == Image("image/webp", 1, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"", SVG, b"GIF89a", draw_picture()[:20], b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00" * 9,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"BM" + b"\0" * 60, b"<html>GIF89a", b"\0\0\0\x18ftypavif", png_header(0, 5), png_header(30_000, 30_000),
        png_header(2**31, 2**31),
    ],
)  # fmt: skip
def test_other_bytes_and_huge_pictures_are_none(body: bytes) -> None:
    assert read_image(body) is None


def test_a_picture_is_shown_with_the_type_of_its_bytes(alice: Client, bin: Bin) -> None:
    found = capture(bin, draw_picture(), "image/svg+xml")
    page = alice.get(f"/testing/bins/{bin.key}/?open={found.public_id}").content.decode()
    url = f"/testing/bins/{bin.key}/{found.public_id}/body/"
    assert f'src="{url}?picture"' in page
    assert f'width="{WIDTH}"' in page
    shown = alice.get(f"{url}?picture")
    assert (shown.content, shown["Content-Type"]) == (draw_picture(), "image/png")
    assert shown["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert alice.get(url)["Content-Disposition"].startswith("attachment")


def test_what_only_says_it_is_a_picture_is_neither_shown_nor_served(alice: Client, bin: Bin) -> None:
    found = capture(bin, SVG, "image/png")
    page = alice.get(f"/testing/bins/{bin.key}/?open={found.public_id}").content.decode()
    assert "?picture" not in page
    assert "<script>alert" not in page
    response = alice.get(f"/testing/bins/{bin.key}/{found.public_id}/body/?picture")
    assert response.status_code == 404


def test_pictures_of_a_form_are_shown_also_on_a_shared_link(client: Client, bin: Bin) -> None:
    found = capture(bin, FORM, "multipart/form-data; boundary=x")
    _, url = shares.share(bin, valid_for=VALID_FOR["1h"], acting_user=None)
    page = client.get(url).content.decode()
    assert page.count("?picture") == 1
    parts = f"{url}{found.public_id}/parts/"
    assert client.get(f"{parts}0/?picture")["Content-Type"] == "image/png"
    assert client.get(f"{parts}1/?picture").status_code == 404
    assert client.get(f"{parts}1/")["Content-Type"] == "application/octet-stream"


def test_a_stranger_gets_no_picture(client: Client, bin: Bin) -> None:
    found = capture(bin, draw_picture(), "image/png")
    url = f"/testing/bins/{bin.key}/{found.public_id}/body/?picture"
    assert client.get(url)["Location"].startswith("/accounts/login/")
