"""Signs in by SASL: SCRAM (RFC 5802, RFC 7677), or PLAIN where the connection is encrypted.

SCRAM never sends the password, and proves that the server knows it too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable, Collection

# Strongest first. The stronger ones are common with SHA-256 only.
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512", "SCRAM-SHA-1": "sha1"}
PLAIN = "PLAIN"
# Servers use 4 096 to 100 000. The server decides, so without a limit it could keep a core busy for hours.
MIN_ITERATIONS, MAX_ITERATIONS = 4_096, 1_000_000


class SaslFailed(Exception):
    """The sign-in failed without a verdict on the password. The text is a sentence."""


def choose(offered: Collection[str]) -> str:
    """Returns the mechanism to use; "" if none is known."""
    return next((name for name in (*HASHES, PLAIN) if name in offered), "")


def prepared(text: str) -> str:
    """Returns a name or password as SASLprep (RFC 4013) makes it, for texts that it allows."""
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    return unicodedata.normalize("NFKC", spaced)


def plain(user: str, password: str) -> bytes:
    return f"\0{prepared(user)}\0{prepared(password)}".encode()


class Scram:
    """One sign-in: `first()`, then `final(challenge)`, then `check(success)`."""

    def __init__(
        self,
        mechanism: str,
        user: str,
        password: str,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.hash, self.password, self.nonce = HASHES[mechanism], prepared(password).encode(), nonce()
        name = prepared(user).replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        self.signature = b""

    def first(self) -> bytes:
        return f"n,,{self.bare}".encode()

    async def final(self, challenge: bytes) -> bytes:
        """Returns the proof of the password. It is computed in a thread. Raises SaslFailed."""
        values = attributes(challenge)
        try:
            nonce, salt = values["r"], base64.b64decode(values["s"], validate=True)
            iterations = int(values["i"])
        except (KeyError, ValueError, binascii.Error):
            raise SaslFailed("The server's challenge cannot be read.") from None
        if not nonce.startswith(self.nonce) or len(nonce) <= len(self.nonce) or "m" in values:
            raise SaslFailed("The server's challenge is not for this sign-in.")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise SaslFailed(
                f"The server asks for {iterations} iterations, not {MIN_ITERATIONS} to {MAX_ITERATIONS}."
            )
        salted = await asyncio.to_thread(hashlib.pbkdf2_hmac, self.hash, self.password, salt, iterations)
        message = f"c=biws,r={nonce}"
        signed = f"{self.bare},{challenge.decode()},{message}".encode()
        client_key = self.hmac(salted, b"Client Key")
        proof = self.hmac(hashlib.new(self.hash, client_key).digest(), signed)
        self.signature = self.hmac(self.hmac(salted, b"Server Key"), signed)
        mixed = bytes(one ^ other for one, other in zip(client_key, proof, strict=True))
        return f"{message},p={base64.b64encode(mixed).decode()}".encode()

    def check(self, success: bytes) -> None:
        """Raises SaslFailed if the server does not know the password."""
        given = attributes(success).get("v", "").encode(errors="replace")
        if not self.signature or not hmac.compare_digest(given, base64.b64encode(self.signature)):
            raise SaslFailed("The server has not proved that it knows the password.")

    def hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self.hash)


def attributes(message: bytes) -> dict[str, str]:
    """Returns the attributes of a SCRAM message: `r=…,s=…,i=…`."""
    parts = message.decode(errors="replace").split(",")
    return {part[0]: part[2:] for part in parts if part[1:2] == "="}
