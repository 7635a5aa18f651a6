"""What pages show of `chatapi listen`: its commands, who is connected, and what a listening endpoint lacks."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from hooks.actions import listening
from hooks.models import Endpoint, Hook, Lane, State
from instances.actions.messages import receive_message
from instances.models import Instance
from instances.pages.endpoints.forwarding import commands
from tests.instances.pages.endpoints.test_endpoint_pages import LIST, of, page, words

pytestmark = pytest.mark.django_db
URL = "http://localhost:3000/hook"


def test_the_instance_page_has_the_commands(alice: Client, instance: Instance) -> None:
    overview = page(alice, "/instances/12345/")

    assert "Forward to my computer" in overview
    for _, command in commands(instance):
        assert escape(command) in overview
    command = commands(instance)[-1][1]
    assert "--instance 12345 --forward http://localhost:3000/hook" in command


def test_the_program_is_downloaded_and_runs_without_the_project(tmp_path: Path) -> None:
    response = Client().get("/listen.py")
    assert response.status_code == 200
    program = tmp_path / "listen.py"
    program.write_bytes(response.content)

    said = subprocess.run(
        [sys.executable, "-I", str(program), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert "--forward" in said.stdout


def test_pages_say_that_no_computer_is_connected_and_how_many_hooks_wait(
    alice: Client, instance: Instance
) -> None:
    run = listening.start(instance.pk, url=URL, name="Laptop of Ann", acting_user=None)
    assert "A computer is connected." in words(page(alice, of(run.endpoint)))
    assert "No computer connected" not in page(alice, LIST)
    listening.stop(run)
    Lane.objects.update(listener_seen_at=timezone.now() - timedelta(hours=1))
    for _ in range(2):
        receive_message(instance, sender="17680561234", body="hello")

    shown = page(alice, of(run.endpoint))

    waiting = Hook.objects.filter(endpoint=run.endpoint, state=State.QUEUED).count()
    assert waiting > 1
    assert f"No computer is connected; {waiting} hooks wait. The last call was" in words(shown)
    assert escape("--name 'Laptop of Ann'") in shown
    assert "No computer connected" in page(alice, LIST)
    hook = Hook.objects.filter(endpoint=run.endpoint).earliest("pk")
    assert "Waiting until chatapi listen fetches it." in page(alice, f"/log/{hook.public_id}/")


def test_the_url_of_a_listening_endpoint_is_changed_and_tested_by_the_program_only(
    alice: Client, instance: Instance
) -> None:
    endpoint = listening.start(instance.pk, url=URL, acting_user=None).endpoint
    assert "Test URL" not in page(alice, of(endpoint))

    alice.post(of(endpoint, "save/"), {"name": "Mine", "url": "http://10.0.0.1/", "order": "strict"})

    row = Endpoint.objects.get(pk=endpoint.pk)
    assert (row.url, row.name, row.strict) == (URL, "Mine", True)
    tested = alice.post(of(endpoint, "test/"), {"url": "http://10.0.0.1/"}, headers={"HX-Request": "true"})
    assert "Send the instance a message to test it." in tested.content.decode()
    assert not Hook.objects.filter(endpoint=endpoint).exists()
