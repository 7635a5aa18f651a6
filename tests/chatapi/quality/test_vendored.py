"""The check of static/vendor: it accepts the files as npm published them, and finds one changed byte."""

import base64
import io
import json
import re
import tarfile

import pytest

from chatapi.quality import vendored

RECORD = json.loads(vendored.RECORD.read_text())


def test_static_vendor_holds_what_npm_published() -> None:
    assert vendored.problems(vendored.files_in(vendored.FOLDER), RECORD) == []
    assert vendored.main() == 0


@pytest.mark.parametrize("name", ["htmx/htmx.min.js", "tabler/tabler.min.css", "tabler-icons/home.svg"])
def test_a_changed_byte_is_found(name: str) -> None:
    files = vendored.files_in(vendored.FOLDER)
    content = files[name]

    for changed in (content[:-1] + bytes([content[-1] ^ 1]), content[:100] + b" " + content[100:], b""):
        assert vendored.problems(files | {name: changed}, RECORD) == [
            f"static/vendor/{name} is not the file that npm published."
        ]


def test_missing_and_unknown_files_are_found() -> None:
    files = vendored.files_in(vendored.FOLDER)
    uplot = files.pop("uplot/uPlot.iife.min.js")

    assert vendored.problems(files | {"uplot/other.js": uplot}, RECORD) == [
        "static/vendor/uplot/uPlot.iife.min.js is missing.",
        "static/vendor/uplot/other.js is not in chatapi/quality/vendored.json.",
    ]


def test_each_package_has_npms_hash_and_the_version_of_the_readme() -> None:
    readme = (vendored.FOLDER / "README.md").read_text()
    for package in RECORD["packages"]:
        (version,) = package["integrity"]
        assert version == package["version"]
        algorithm, _, digest = package["integrity"][version].partition("-")
        assert (algorithm, len(base64.b64decode(digest))) == ("sha512", 64)
        assert re.search(
            rf"`{package['folder']}/`.*npm `{package['name']}` \| {re.escape(version)} \|", readme
        )


def test_files_are_derived_from_the_archive() -> None:
    svg = (
        b'<svg\n  width="24"\n  class="icon icon-tabler"\n>\n  <path stroke="none" d="M0 0h24v24H0z" fill="none" />\n'
        b'  <path d="M5 12" />\n</svg>'
    )
    script = b"let a=1;\n//# sourceMappingURL=a.js.map\n"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as members:
        for name, content in (("icons/outline/a.svg", svg), ("dist/a.js", script)):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))

    icons = {"folder": "tabler-icons", "name": "i"}
    tabler = {"folder": "tabler", "name": "t", "files": ["dist/a.js"]}

    assert vendored.derive(icons, archive.getvalue(), ["a.svg"]) == {
        "tabler-icons/a.svg": b'<svg width="24"><path d="M5 12" /></svg>\n'
    }
    assert vendored.derive(tabler, archive.getvalue(), []) == {"tabler/a.js": b"let a=1;\n"}
