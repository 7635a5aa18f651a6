"""A verification always restores the instance's own URL, here after kill -9 of all processes."""

import contextlib
import re
from pathlib import Path

import psutil
import requests

from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest


def start_verification(product: Product) -> None:
    """Signs in, opens the page and submits the form, as a browser would."""
    browser = requests.Session()
    login = f"{product.url}/accounts/login/"
    page = browser.get(login, timeout=60).text
    data = {
        "csrfmiddlewaretoken": re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', page)[0],
        "login": product.demo["email"],
        "password": product.demo["password"],
    }
    browser.post(login, data, headers={"Referer": login}, timeout=60).raise_for_status()
    page_url = f"{product.url}/testing/verification/?instance={product.demo['instances'][0]['id']}"
    page = browser.get(page_url, timeout=60).text
    form = next(
        form for form in re.findall("<form.*?</form>", page, re.DOTALL) if "Start verification" in form
    )
    token = re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', form)[0]
    [action] = re.findall('action="([^"]+)"', form)
    fields = dict(re.findall('<(?:input|button)[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form))
    answer = browser.post(
        f"{product.url}{action}",
        fields | {"csrfmiddlewaretoken": token},
        headers={"Referer": page_url},
        timeout=60,
    )
    answer.raise_for_status()
    assert "Verification is running" in answer.text


def test_after_kill_9_of_all_processes_hooks_go_to_the_own_server_again(tmp_path: Path) -> None:
    with Product(tmp_path / "data") as product, Receiver() as receiver:
        rest = Rest(product)
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
        start_verification(product)
        to_the_bin = rest.hello("into the bin")
        [hook] = rest.log(to_the_bin["id"])
        assert [attempt["answer"]["status"] for attempt in hook["attempts"]] == [200]
        assert "/bin/" in hook["attempts"][0]["request"]["url"]
        assert receiver.requests == []

        family = product.processes()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
                process.kill()
        psutil.wait_procs(family, timeout=60)
        product.lines.clear()
        while not product.printed.empty():
            product.printed.get()
        product.start()
        product.wait_for(f"Ready: http://localhost:{product.port}")

        rest.hello("to the own server")
        [received] = receiver.wait_for(1)
        assert received.json()["messages"][0]["body"] == "to the own server"
        assert product.manage("hooks", "check").returncode == 0
