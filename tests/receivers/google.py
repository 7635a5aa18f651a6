"""Google Sheets, small and on loopback: gives tokens to who signs for one, and keeps the rows."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.receiver import Answer, Received, Receiver

ACCOUNT = "receiver@example.iam.gserviceaccount.com"


class Google:
    """`with Google(folder) as google:`; `rows` are those of the sheet, `claims` those of each token given."""

    def __init__(self, folder: Path) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.credentials = folder / "credentials.json"
        self.rows: list[list[Any]] = []
        self.claims: list[dict[str, Any]] = []
        self.server = Receiver(self.answer)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def __enter__(self) -> Self:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "client_email": ACCOUNT,
            "private_key": private.decode(),
            "token_uri": f"{self.url}/token",
        }
        self.credentials.write_text(json.dumps(account))
        self.server.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.__exit__(*exception)

    @property
    def environment(self) -> dict[str, str]:
        return {"CREDENTIALS": str(self.credentials), "SPREADSHEET_ID": "sheet-1", "SHEETS_URL": self.url}

    def answer(self, received: Received) -> Answer:
        address = urlsplit(received.path)
        if address.path == "/token":
            self.claims.append(self.verified(parse_qs(received.body.decode())))
            return json_answer({"access_token": "ya29.token", "expires_in": 3600})
        assert received.path == "/v4/spreadsheets/sheet-1/values/A1:append?valueInputOption=RAW"
        if received.headers["authorization"] != "Bearer ya29.token":
            return 401, {}, b"{}"
        self.rows.extend(received.json()["values"])
        return json_answer({"spreadsheetId": "sheet-1"})

    def verified(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """The claims of the assertion; raises InvalidSignature."""
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        signed, signature = form["assertion"][0].rsplit(".", 1)
        self.key.public_key().verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        assert header == {"alg": "RS256", "typ": "JWT"}
        return dict(claims)


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")


def json_answer(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
