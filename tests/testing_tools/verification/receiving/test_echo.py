"""An argument of the query in a bin's response: escaped for the type of the body, and never in a header."""

import json
from xml.etree import ElementTree

import pytest

from testing_tools.verification import echo
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.responses import PRESETS, ConfiguredResponse, InvalidResponse, checked
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db
HOSTILE = """</a><script>alert(1)</script>"',}]&\r\nX-Evil: 1\x00"""


@pytest.fixture
def bin():
    return bin_actions.open_own_bin(AccountFactory())


def respond(client, bin, body, type, **query):
    headers = (("Content-Type", type), ("X-Value", "{{a}}"))
    bin_actions.set_response(bin, response=ConfiguredResponse(headers=headers, body=body), acting_user=None)
    return client.get(f"/bin/{bin.key}", query)


def test_the_preset_confirms_a_webhook_url_as_meta_asks(client, bin):
    bin_actions.apply_preset(bin, preset=PRESETS["challenge"], acting_user=None)
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "x"}
    response = client.get(f"/bin/{bin.key}", query)
    assert (response.content, response["Content-Type"]) == (b"1158201444", "text/plain")
    assert client.post(f"/bin/{bin.key}", b"{}", content_type="application/json").content == b""


@pytest.mark.parametrize("type", ["application/json", "application/problem+json; charset=utf-8"])
def test_a_value_stays_inside_its_json_string(client, bin, type):
    response = respond(client, bin, '{"challenge": "{{ a }}", "b": 1}', type, a=HOSTILE)
    assert json.loads(response.content) == {"challenge": HOSTILE, "b": 1}


def test_a_value_stays_inside_its_xml_element(client, bin):
    response = respond(client, bin, '<a b="{{a}}">{{a}}</a>', "application/xml", a=HOSTILE)
    element = ElementTree.fromstring(response.content)
    text = HOSTILE.replace("\x00", "\ufffd")
    assert element.text == text.replace("\r\n", "\n")
    assert element.attrib["b"] == text.replace("\r\n", " ")
    assert response["Content-Disposition"].startswith("attachment")


def test_a_value_in_plain_text_is_as_sent_and_no_browser_runs_it(client, bin):
    response = respond(client, bin, "{{a}}", "text/plain", a=HOSTILE)
    assert response.content.decode() == HOSTILE
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox;")


def test_headers_have_no_placeholders(client, bin):
    response = respond(client, bin, "{{a}}", "text/plain", a="1\r\nX-Evil: 1")
    assert response["X-Value"] == "{{a}}"
    assert "X-Evil" not in response


def test_a_missing_argument_is_empty_and_the_first_of_two_counts():
    assert echo.fill_in("<{{a}}|{{b}}>", "b=1&b=2", "text/plain") == "<|1>"
    assert echo.fill_in("{{ not a name }} {{}}", "a=1", "text/plain") == "{{ not a name }} {{}}"


def test_a_form_keeps_its_fields():
    assert echo.fill_in("x={{a}}&y=1", "a=%26y%3D2+%C3%BC", "application/x-www-form-urlencoded") == (
        "x=%26y%3D2+%C3%BC&y=1"
    )


def test_a_short_request_cannot_ask_for_a_huge_response():
    body = "{{a}}" * 13_000
    assert len(echo.fill_in(body, "a=" + "x" * 8000, "text/plain")) < 65_000 + 20 * 4096
    assert echo.fill_in("{{a}}", "&".join(f"a={n}" for n in range(201)), "text/plain") == ""
    with pytest.raises(InvalidResponse, match="has 21 placeholders: the limit is 20"):
        checked(ConfiguredResponse(body="{{a}}" * 21))
