"""Captures are exported as NDJSON, CSV and HAR, copied as code, downloaded and shown as hex: complete and harmless."""

import csv
import io
import json
import subprocess

import pytest

from chatapi.ui import hex_dump, request_snippets
from chatapi.ui.downloads import harmless
from testing_tools.verification import copy_as
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.reading import form_parts, request_as_sent
from tests.factories import AccountFactory, InstanceFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def bin():
    return bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))


@pytest.fixture
def alice(client, bin):
    client.force_login(bin.instance.owner.owner)
    return client


def captured(bin, body=b"", **more):
    result = capture_actions.capture(bin.key, **{"method": "POST", "body": body} | more)
    assert result is not None
    found = Capture.objects.get(bin=bin, number=result.number)
    found.bin = bin
    return found


def exported(client, bin, format, query=""):
    answer = client.get(f"/testing/bins/{bin.key}/export/", {"as": format, "q": query})
    assert answer["Content-Disposition"].startswith(f'attachment; filename="bin-{bin.key}-')
    assert answer["X-Content-Type-Options"] == "nosniff"
    return b"".join(answer.streaming_content).decode()


def test_ndjson_has_one_object_per_line_newest_first(alice, bin):
    captured(bin, "grüße".encode(), headers=[("x-a", "1")], path="/a", query="b=1")
    captured(bin, b"\xff\x00")
    second, first = (json.loads(line) for line in exported(alice, bin, "ndjson").splitlines())
    assert (first["body"], first["headers"], first["path"], first["query"]) == (
        "grüße",
        [["x-a", "1"]],
        "/a",
        "b=1",
    )
    assert (second["bodyBase64"], "body" in second) == ("/wA=", False)


def test_no_csv_cell_is_a_formula(alice, bin):
    captured(bin, b'=HYPERLINK("http://evil")', method="=CMD", path="/x", headers=[("=a", "b")])
    text = exported(alice, bin, "csv")
    assert text[0] == "\ufeff"
    [row] = csv.DictReader(io.StringIO(text[1:]))
    assert row["body"] == '\'=HYPERLINK("http://evil")'
    assert (row["method"], row["headers"], row["number"]) == ("'=CMD", "'=a: b", "1")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "\ufeff=1", "＝1", "\n=1"])
def test_text_that_starts_like_a_formula_gets_an_apostrophe(text):
    assert harmless(text) == f"'{text}"
    assert harmless(f"a{text}") == f"a{text}"


def test_har_is_what_network_tools_open(alice, bin):
    captured(bin, b'{"a": 1}', path="/a", query="b=1", headers=[("content-type", "application/json")])
    captured(bin, b"\xff", headers=[("empty", "")])
    log = json.loads(exported(alice, bin, "har"))["log"]
    assert log["comment"] == request_as_sent.NOT_SHOWN
    assert log["entries"][0]["request"]["headers"] == [{"name": "empty", "value": ""}]
    assert (log["version"], len(log["entries"])) == ("1.2", 2)
    request = log["entries"][1]["request"]
    assert request["url"] == f"{bin.url}/a?b=1"
    assert request["queryString"] == [{"name": "b", "value": "1"}]
    assert request["postData"] == {"mimeType": "application/json", "text": '{"a": 1}', "params": []}
    assert log["entries"][0]["request"]["postData"]["comment"] == "base64"


def test_an_empty_bin_exports_an_empty_file_and_an_unknown_format_is_404(alice, bin):
    assert exported(alice, bin, "ndjson") == ""
    assert json.loads(exported(alice, bin, "har"))["log"]["entries"] == []
    assert alice.get(f"/testing/bins/{bin.key}/export/?as=exe").status_code == 404


def test_only_matching_captures_are_exported(client, alice, bin):
    captured(bin, b"one")
    captured(bin, b"two", method="PUT")
    assert [
        json.loads(line)["body"] for line in exported(alice, bin, "ndjson", "method:PUT").splitlines()
    ] == ["two"]
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert client.get(f"/testing/bins/{bin.key}/export/?as=csv").status_code == 404


URLENCODED = "application/x-www-form-urlencoded"
AWKWARD = 'it\'s "quoted" $HOME `x` \\ \n ü'


def in_shell(line):
    """The words into which a POSIX shell splits it."""
    said = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, text=True)
    return said.stdout.split("\0")[:-1]


def test_a_curl_command_quotes_any_request(bin):
    found = captured(
        bin,
        AWKWARD.encode(),
        path="/a'b",
        headers=[("x-q", "it's"), ("host", "old"), ("content-length", "9")],
    )
    words = in_shell(request_snippets.curl(copy_as.quoted(found)))
    assert words[:6] == ["curl", "-i", "--globoff", "-X", "POST", f"{bin.url}/a'b"]
    assert words[6:] == ["-H", "x-q: it's", "-H", "content-type:", "--data-raw", AWKWARD]


def test_the_python_code_makes_the_same_request(bin, settings):
    with Receiver() as receiver:
        settings.SITE_URL = f"http://127.0.0.1:{receiver.port}"
        found = captured(bin, AWKWARD.encode(), method="PATCH", query="a=1", headers=[("x-q", "it's")])
        exec(
            compile(request_snippets.python(copy_as.quoted(found)), "copied", "exec"),
            {"print": lambda *words: None},
        )
        [got] = receiver.wait_for(1)
    assert (got.method, got.path, got.body.decode()) == ("PATCH", f"/bin/{bin.key}?a=1", AWKWARD)
    assert got.headers["x-q"] == "it's"


def test_httpie_and_javascript_quote_it_too(bin):
    found = captured(bin, AWKWARD.encode(), headers=[("x-q", "it's")])
    assert in_shell(request_snippets.httpie(copy_as.quoted(found))) == [
        "http", "--verbose", "--ignore-stdin", f"--raw={AWKWARD}", "--", "POST", bin.url, "x-q:it's", "content-type:",
    ]  # fmt: skip
    assert (
        f"const body = Buffer.from({json.dumps(AWKWARD, ensure_ascii=False)});"
        in request_snippets.javascript(copy_as.quoted(found))
    )


def test_httpie_escapes_headers_that_it_would_read_as_commands(bin):
    headers = [("x-empty", ""), ("x-file", "@/etc/hostname"), ("x-json", "=1")]
    found = captured(bin, path="/a/%2E./b", headers=headers)
    assert in_shell(request_snippets.httpie(copy_as.quoted(found))) == [
        "http", "--verbose", "--ignore-stdin", "--path-as-is", "--", "POST", f"{bin.url}/a/%2E./b",
        "x-empty;", "x-file:\\@/etc/hostname", "x-json:\\=1",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/..", "/a/%2e%2E/b?q", "/a/.%2e"])
def test_dot_segments_are_kept_in_the_path(bin, path):
    quoted = copy_as.quoted(captured(bin))._replace(url=bin.url + path)
    assert "--path-as-is" in in_shell(request_snippets.curl(quoted))
    httpie = request_snippets.httpie(quoted)
    if "%2e" in path:  # it writes escapes in capital letters
        assert httpie.startswith("# HTTPie cannot send this request: ")
    else:
        assert "--path-as-is" in in_shell(httpie)


def test_binary_and_long_bodies_are_read_from_the_downloaded_file(bin):
    for body in (b"\xff\x00", b"x" * 10_000):
        found = captured(bin, body)
        for text in dict(copy_as.snippets(found)).values():
            assert f"capture-{found.number}.bin" in text


def test_a_form_is_read_with_its_files_byte_for_byte(alice, bin):
    content = bytes(range(256)) + b"\r\n--x\r\n\n"
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="t\xc3\xaft"\r\n\r\nHoliday\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="../b\xc3\xa4r \\"1\\".png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--XX--\r\n"
    )
    found = captured(bin, body, headers=[("content-type", 'multipart/form-data; boundary="XX"')])
    form = form_parts.read(found)
    assert [(part.name, part.value, part.file, part.type) for part in form.parts] == [
        ("tït", "Holiday", None, ""), ("f", "", '../bär "1".png', "image/png"),
    ]  # fmt: skip
    answer = alice.get(f"/testing/bins/{bin.key}/{found.public_id}/parts/1/")
    assert answer.content == content
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in answer["Content-Disposition"]
    assert ".." not in answer["Content-Disposition"]
    assert alice.get(f"/testing/bins/{bin.key}/{found.public_id}/parts/0/").status_code == 404


@pytest.mark.parametrize(
    ("type", "body", "kind", "parts"),
    [
        (URLENCODED, b"a=1&a=&%C3%BC=%FF", "urlencoded", [("a", "1"), ("a", ""), ("ü", "\ufffd")]),
        ("application/json", b"{}", "", []),
        ("multipart/form-data; boundary=no", b"nothing", "multipart", []),
        ("multipart/form-data", b"nothing", "multipart", []),
        (URLENCODED, b"a&" * 5000, "urlencoded", []),
    ],
)  # fmt: skip
def test_any_body_can_be_read_as_a_form(bin, type, body, kind, parts):
    form = form_parts.read(captured(bin, body, headers=[("content-type", type)]))
    assert (form.kind, [part[:2] for part in form.parts]) == (kind, parts)
    assert bool(form.error) == (bool(kind) and not parts)


def test_a_hex_dump_has_sixteen_bytes_a_line():
    assert hex_dump.dump(b'{"a":1}\x00\xffabcdefgh') == (
        '00000000  7b 22 61 22 3a 31 7d 00  ff 61 62 63 64 65 66 67  |{"a":1}..abcdefg|\n'
        "00000010  68                                                |h|"
    )


def test_the_pane_has_seven_tabs(alice, bin):
    found = captured(bin, b"\x00\xffabc", headers=[("content-type", "application/octet-stream")])
    page = alice.get(f"/testing/bins/{bin.key}/{found.public_id}/?tab=hex").content.decode()
    tabs = [
        f'id="tab-{name}"' in page for name in ("explained", "body", "headers", "query", "form", "raw", "hex")
    ]
    assert tabs == [True] * 7
    assert "00000000  00 ff 61 62 63" in page
    assert [f">{tool}</button>" in page for tool in ("curl", "HTTPie", "Python", "JavaScript")] == [True] * 4
