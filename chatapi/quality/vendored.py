"""Checks that static/vendor holds what npm published: `make check` compares each file with a recorded hash.

vendored.json has the version of each package, npm's hash of its archive, and the hash of each file that comes from it.
`make vendor` downloads the archives, compares them with npm's hashes, and derives the files again. After an upgrade (a
new version in vendored.json) it writes the files and the hashes.
"""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "static" / "vendor"
RECORD = Path(__file__).with_name("vendored.json")
OURS = {"README.md"}  # the only file that comes from no package
SOURCE_MAP = re.compile(rb"^/[/*]# sourceMappingURL=.*\n?", re.MULTILINE)

Files = dict[str, bytes]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def integrity(archive: bytes) -> str:
    """npm's hash of an archive, as in package-lock.json."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()


def files_in(folder: Path) -> Files:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name not in OURS}


def problems(files: Files, record: dict[str, Any]) -> list[str]:
    """One line for each file that differs from the record, is missing or is not in it."""
    recorded: dict[str, str] = record["files"]
    found = [f"static/vendor/{name} is missing." for name in recorded if name not in files]
    for name, content in sorted(files.items()):
        if name not in recorded:
            found.append(f"static/vendor/{name} is not in chatapi/quality/vendored.json.")
        elif sha256(content) != recorded[name]:
            found.append(f"static/vendor/{name} is not the file that npm published.")
    return found


# -- from npm


def plain_icon(svg: bytes) -> bytes:
    """A Tabler icon on one line, without its classes and its empty background."""
    text = re.sub(r'\s*class="[^"]*"', "", svg.decode())
    text = re.sub(r'\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>', "", text)
    text = re.sub(r"\s*\n\s*", " ", text.strip())
    return (re.sub(r" ?> ?<", "><", text) + "\n").encode()


def derive(package: dict[str, Any], archive: bytes, icons: list[str]) -> Files:
    """The files of static/vendor that come from this package. `icons` are the names of the icons that are used."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:

        def read(name: str) -> bytes:
            member = members.extractfile(f"package/{name}")
            if member is None:
                raise FileNotFoundError(f"{package['name']} has no {name}")
            return member.read()

        folder = package["folder"]
        if folder == "tabler-icons":
            found = {f"{folder}/{name}": plain_icon(read(f"icons/outline/{name}")) for name in icons}
        else:
            found = {f"{folder}/{Path(name).name}": read(name) for name in package["files"]}
        if folder == "tabler":
            found = {name: SOURCE_MAP.sub(b"", content) for name, content in found.items()}
        return found


def download(package: dict[str, Any], folder: Path) -> bytes:
    """The package's archive, from npm, which compares it with the registry's hash."""
    wanted = f"{package['name']}@{package['version']}"
    packed = subprocess.run(
        ["npm", "pack", "--silent", wanted], cwd=folder, check=True, capture_output=True, text=True
    )
    return (folder / packed.stdout.strip().splitlines()[-1]).read_bytes()


def renew() -> int:
    """Downloads all packages, and writes the files that differ with their hashes. Returns the exit code."""
    record = json.loads(RECORD.read_text())
    present = files_in(FOLDER)
    icons = sorted(
        Path(name).name for name in present if name.startswith("tabler-icons/") and name.endswith(".svg")
    )
    # licences are kept as they are: packages publish them under different names
    files = {name: content for name, content in present.items() if Path(name).name == "LICENSE"}
    with tempfile.TemporaryDirectory() as scratch:
        for package in record["packages"]:
            archive = download(package, Path(scratch))
            known = package.get("integrity", {}).get(package["version"])
            if known not in (None, integrity(archive)):
                print(f"The archive of {package['name']} {package['version']} is not the one recorded.")
                return 1
            package["integrity"] = {package["version"]: integrity(archive)}
            files |= derive(package, archive, icons)
    for name in sorted(files):
        if present.get(name) != files[name]:
            print(f"static/vendor/{name} differs from npm's; it is replaced.")
            (FOLDER / name).write_bytes(files[name])
    record["files"] = {name: sha256(files[name]) for name in sorted(files)}
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    return 0


def main() -> int:
    if "--renew" in sys.argv:
        return renew()
    found = problems(files_in(FOLDER), json.loads(RECORD.read_text()))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
