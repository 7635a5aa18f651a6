"""A bin that scripts of any site may call: preflights, the headers, and what stays as configured."""

import pytest

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import BODY_LIMIT, Capture
from testing_tools.verification.responses import PRESETS, ConfiguredResponse
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db
ORIGIN = {"Origin": "https://app.example"}
PREFLIGHT = ORIGIN | {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization, x-mine",
}


@pytest.fixture
def bin():
    return bin_actions.open_own_bin(AccountFactory())


def configure(bin, **fields):
    bin_actions.set_response(bin, response=ConfiguredResponse(**{"cors": True} | fields), acting_user=None)


def cors_headers(response):
    return {name: value for name, value in response.items() if name.startswith("Access-Control-")}


def test_without_it_a_preflight_gets_the_configured_response(client, bin):
    response = client.options(f"/bin/{bin.key}", headers=PREFLIGHT)
    assert (response.status_code, response.json(), cors_headers(response)) == (200, {"ok": True}, {})


def test_a_preflight_gets_what_it_asks_for_at_once(client, bin):
    configure(bin, status=500, delay=20)
    response = client.options(f"/bin/{bin.key}/503", headers=PREFLIGHT)
    assert (response.status_code, response.content, response.get("Content-Type")) == (204, b"", None)
    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "*",
        "Access-Control-Allow-Methods": "PUT",
        "Access-Control-Allow-Headers": "authorization, x-mine",
        "Access-Control-Max-Age": "600",
    }
    assert not hasattr(response, "send_after")
    stored = Capture.objects.get()
    assert (stored.method, stored.status, stored.answer_note) == ("OPTIONS", 204, "CORS preflight")


def test_every_response_can_be_read_also_a_refusal(client, bin):
    configure(bin, status=418)
    for path, body, status in (("", b"", 418), ("/503", b"", 503), ("", b"x" * (BODY_LIMIT + 1), 413)):
        response = client.post(f"/bin/{bin.key}{path}", body, content_type="text/plain", headers=ORIGIN)
        assert response.status_code == status
        assert cors_headers(response) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "*",
        }


def test_a_preflight_is_none_of_the_requests_that_fail_first(client, bin):
    configure(bin, fail_first=2)
    statuses = []
    for _ in range(3):
        assert client.options(f"/bin/{bin.key}", headers=PREFLIGHT).status_code == 204
        statuses.append(client.put(f"/bin/{bin.key}", headers=ORIGIN).status_code)
    assert statuses == [500, 500, 200]
    notes = list(
        Capture.objects.filter(method="PUT").order_by("number").values_list("answer_note", flat=True)
    )
    assert notes == ["configured failure 1 of 2", "configured failure 2 of 2", ""]


def test_an_options_request_without_the_headers_is_no_preflight(client, bin):
    configure(bin)
    assert client.options(f"/bin/{bin.key}", headers=ORIGIN).status_code == 200


def test_configured_headers_win_and_no_header_is_forged(client, bin):
    configure(bin, headers=(("Access-Control-Allow-Origin", "https://one.example"),))
    forged = PREFLIGHT | {"Access-Control-Request-Headers": "a: b; c"}
    response = client.options(f"/bin/{bin.key}", headers=forged)
    assert "Access-Control-Allow-Headers" not in response
    response = client.get(f"/bin/{bin.key}", headers=ORIGIN)
    assert response["Access-Control-Allow-Origin"] == "https://one.example"
    assert "Access-Control-Allow-Credentials" not in response


def test_a_preset_leaves_it_on(client, bin):
    configure(bin)
    bin_actions.apply_preset(bin, preset=PRESETS["fail"], acting_user=None)
    response = client.post(f"/bin/{bin.key}", headers=ORIGIN)
    assert (response.status_code, response["Access-Control-Allow-Origin"]) == (500, "*")


def test_the_form_of_the_response_turns_it_on_and_off(client, bin):
    client.force_login(bin.account.owner)
    fields = {"status": "200", "headers": "", "body": "", "delay": "0", "fail_first": "0"}
    for values, is_on in ((fields | {"cors": "on"}, True), ({"preset": "slow"}, True), (fields, False)):
        client.post(f"/testing/bins/{bin.key}/response/", values)
        bin.refresh_from_db()
        assert bin.answer_cors is is_on
    page = client.post(f"/testing/bins/{bin.key}/response/", fields | {"cors": "on", "status": "1"})
    assert b'name="cors" checked' in page.content  # what was typed stays
