"""Runs the steps of a Dockerfile without a Docker engine: each stage is a folder over that of the stage below.

Debian's base image is what mmdebstrap makes of the same packages. Steps run with `chroot`, and see the network of this
machine. Known are the instructions that ./Dockerfile has; another one is an error.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
from dataclasses import dataclass, field
from pathlib import Path

SUITE = re.compile(r"debian:(\w+)-slim")
# What the steps of an image take from this machine: how it reaches the registries of packages.
REGISTRIES = ("PIP_DEFAULT_TIMEOUT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy")
CERTIFICATES = "/run/certificates.pem"


@dataclass
class Stage:
    """A stage, or the image, which is the last one: its shell script and the configuration of a container."""

    name: str
    below: str
    script: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    )
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Returns the name and the rest of each instruction."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def stages(text: str, source: Path, cache: Path) -> list[Stage]:
    """Returns the stages of a Dockerfile whose context is `source`. RUN keeps caches in `cache`."""
    found: list[Stage] = []
    for name, rest in instructions(text):
        if name == "FROM":
            below, _, own = rest.partition(" AS ")
            parent = next((stage for stage in found if stage.name == below), None)
            stage = Stage(own or "image", parent.name if parent else "debian")
            assert parent or SUITE.fullmatch(below), below
            if parent:
                stage.environment = dict(parent.environment)
            found.append(stage)
        else:
            step(found[-1], name, rest, source, cache)
    return found


def step(stage: Stage, name: str, rest: str, source: Path, cache: Path) -> None:
    root = f"$stages/{stage.name}/root"
    if name == "ENV":
        for word in shlex.split(rest):
            key, value = word.split("=", 1)
            stage.environment[key] = re.sub(
                r"\$(\w+)", lambda found: stage.environment.get(found.group(1), ""), value
            )
    elif name == "WORKDIR":
        stage.folder = rest
        stage.script.append(f"mkdir -p {root}{rest}")
    elif name == "USER":
        stage.user = rest
    elif name == "COPY":
        copy(stage, shlex.split(rest), source, root)
    elif name == "RUN":
        mounts, command = re.match(r"((?:--mount=\S+ )*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        for target in re.findall(r"--mount=type=cache,target=(\S+)", mounts):
            own = cache / target.strip("/").replace("/", "-")
            stage.script += [f"mkdir -p {own} {root}{target}", f"mount --bind {own} {root}{target}"]
        outside = {key: os.environ[key] for key in REGISTRIES if key in os.environ} | {
            "PIP_CERT": CERTIFICATES
        }
        stage.script.append(
            in_chroot(stage, root, ["/bin/sh", "-ec", f"cd {stage.folder}; {command}"], outside)
        )
    elif name == "CMD":
        stage.command = json.loads(rest)
    elif name == "HEALTHCHECK":
        stage.health = json.loads(rest[rest.index("[") :])
    elif name not in ("VOLUME", "EXPOSE"):
        raise AssertionError(f"{name} is not known here")


def copy(stage: Stage, words: list[str], source: Path, root: str) -> None:
    """A folder is copied into the target, as COPY does it, and a file into the folder of the stage."""
    origin = str(source)
    if words[0].startswith("--from="):
        origin = f"$stages/{words.pop(0).removeprefix('--from=')}/root"
    target = f"{root}{os.path.join(stage.folder, words[-1])}"
    for name in words[:-1]:
        path = f"{origin}/{name.lstrip('/')}"
        stage.script.append(f"mkdir -p {target if words[-1].endswith('/') else os.path.dirname(target)}")
        if words[-1].endswith("/"):
            stage.script.append(f"cp -a {path} {target}")
        else:
            stage.script.append(f"mkdir -p {target}; cp -aT {path} {target}")


def in_chroot(stage: Stage, root: str, command: list[str], more: dict[str, str] | None = None) -> str:
    """Returns the shell command that runs a command in the stage, from outside."""
    return f"chroot {root} {inside(stage, command, more)}"


def inside(stage: Stage, command: list[str], more: dict[str, str] | None = None) -> str:
    """Returns the shell command that runs a command with the stage's environment and user."""
    uid, _, gid = stage.user.partition(":")
    variables = [f"{key}={value}" for key, value in (stage.environment | (more or {})).items()]
    user = (
        [] if uid == "0" else ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
    )
    return shlex.join(["env", "-i", *variables, *user, *command])


# Run in a mount namespace of its own. $stages and $debian are folders.
BELOW = """
mkdir -p $stages/{name}/upper $stages/{name}/work $stages/{name}/root
cd $stages/{name}
mount -t overlay overlay -o lowerdir={lower},upperdir=upper,workdir=work root
mount -t proc proc $stages/{name}/root/proc
mount -t tmpfs tmpfs $stages/{name}/root/dev
for device in null zero full random urandom; do cp -a /dev/$device $stages/{name}/root/dev/; done
mkdir $stages/{name}/root/dev/shm; mount -t tmpfs tmpfs $stages/{name}/root/dev/shm
touch $stages/{name}/root{certificates}
mount --bind {machines_certificates} $stages/{name}/root{certificates}
for file in /etc/resolv.conf /etc/hosts; do cat $file > $stages/{name}/root$file; done
"""


def build_script(found: list[Stage]) -> str:
    """Returns the shell script that builds all stages."""
    lowers = {"debian": "$debian"}
    lines = ["set -e", "mount --make-rprivate /"]
    for stage in found:
        lower = lowers[stage.below]
        lowers[stage.name] = f"$stages/{stage.name}/upper:{lower}"
        own = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().openssl_cafile
        lines.append(
            BELOW.format(
                name=stage.name,
                lower=lower,
                certificates=CERTIFICATES,
                machines_certificates=shlex.quote(own),
            )
        )
        lines += stage.script
    return "\n".join(lines)
