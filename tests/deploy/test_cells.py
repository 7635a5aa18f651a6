"""Two whole sites behind one address: HAProxy finds the site of an instance by its number (docs/running/growth.md)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.product import READY_SECONDS, ROOT, Product
from tests.proxies import proxy, replaced
from tests.rest import Rest

pytestmark = pytest.mark.timeout(3 * READY_SECONDS)


@pytest.fixture(scope="module")
def cells(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Rest, Rest]]:
    """The URL of the proxy, and the demo instances of the first and the second cell; a file names the second one."""
    folder = tmp_path_factory.mktemp("cells")
    other = Product(folder / "data")
    other.is_copied = False  # else both would be copies of one site, with the same instance, token and key
    with other as second:
        found = Rest(product), Rest(second)
        assert found[0].instance["id"] != found[1].instance["id"]
        (folder / "cells.map").write_text(f"{found[1].instance['id']} cell2\n")
        directory = replaced(
            (ROOT / "deploy/haproxy/cells.cfg").read_text(),
            {
                "/etc/haproxy/cells.map": f"{folder}/cells.map",
                "10.0.0.5:8000": f"127.0.0.1:{product.port}",
                "10.0.1.5:8000": f"127.0.0.1:{second.port}",
            },
        )
        edits = {"    default_backend web\n": directory}
        with proxy("haproxy", product.port, folder / "proxy", edits) as port:
            yield f"http://127.0.0.1:{port}", *found


@pytest.mark.parametrize(
    "form",
    [
        "/instance{id}/status?token={token}",
        "//instance{id}//status/?token={token}",
        "/status?instanceId={id}&token={token}",
        "/instance{id}/status?token={token}&instanceId=123",
    ],
)
def test_each_form_of_the_wire_contract_reaches_the_cell_of_the_instance(
    cells: tuple[str, Rest, Rest], form: str
) -> None:
    """The cells have different tokens, so the other one would refuse the call."""
    url, *found = cells
    for cell in found:
        response = requests.get(url + form.format(**cell.instance), timeout=60)
        assert (response.status_code, response.json()["accountStatus"]) == (200, "authenticated")


def test_rest_and_a_sent_message_reach_the_cell_of_the_instance(cells: tuple[str, Rest, Rest]) -> None:
    url, *found = cells
    for cell in found:
        instance = cell.instance
        message = {"phone": "17680561234", "body": "hello"}
        sent = requests.post(
            f"{url}/instance{instance['id']}/sendMessage?token={instance['token']}", json=message, timeout=60
        )
        assert sent.json()["sent"], sent.text
        shown = cell.call("GET", f"{url}/api/v1/instances/{instance['id']}/")
        assert str(shown["id"]) == str(instance["id"])


def test_a_call_that_names_no_instance_reaches_the_first_cell(cells: tuple[str, Rest, Rest]) -> None:
    """The cells have different keys, and each accepts its own alone."""
    url, *found = cells
    assert requests.get(f"{url}/healthz", timeout=60).json() == {"status": "ok"}
    codes = [
        requests.get(
            f"{url}/api/v1/account/", headers={"Authorization": f"Bearer {cell.demo['uid']}"}, timeout=60
        ).status_code
        for cell in found
    ]
    assert codes == [200, 401]


def test_an_instance_that_is_not_in_the_file_is_in_the_first_cell(cells: tuple[str, Rest, Rest]) -> None:
    url, first, _ = cells
    unknown, of_first = (
        requests.get(f"{base}/instance123/status?token=x", timeout=60)
        for base in (url, first.api_url.rsplit("/instance")[0])
    )
    assert unknown.status_code == of_first.status_code >= 400
    assert unknown.text == of_first.text
