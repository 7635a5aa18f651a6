"""Functions that verify the signature of a hook, for each language, without a library.

Each takes the headers, the raw bytes of the body, and the signing secret. There may be several signatures: after a
rotation, one by the new secret and one by the old (Standard Webhooks). Complete receivers are in docs/receivers.
"""

PYTHON = """\
import base64, hmac, time

def is_signed(headers, body: bytes, secret: str) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = headers["webhook-timestamp"]
    content = f"{headers['webhook-id']}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    given = headers["webhook-signature"].split(" ")
    fits = any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)
    return fits and abs(time.time() - int(stamp)) <= 300
"""
NODE = """\
const crypto = require('node:crypto');

function isSigned(headers, body, secret) { // body: a Buffer with the raw bytes
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const stamp = headers['webhook-timestamp'];
  const hmac = crypto.createHmac('sha256', key).update(`${headers['webhook-id']}.${stamp}.`).update(body);
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`);
  const given = headers['webhook-signature'].split(' ').map((one) => Buffer.from(one));
  const fits = given.some((one) => one.length === expected.length && crypto.timingSafeEqual(one, expected));
  return fits && Math.abs(Date.now() / 1000 - Number(stamp)) <= 300;
}
"""
PHP = """\
<?php
function is_signed(array $headers, string $body, string $secret): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $stamp = $headers['webhook-timestamp'];
    $content = $headers['webhook-id'] . '.' . $stamp . '.' . $body;
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
    foreach (explode(' ', $headers['webhook-signature']) as $one) {
        if (hash_equals($expected, $one)) {
            return abs(time() - (int) $stamp) <= 300;
        }
    }
    return false;
}
"""
WITH_LIBRARY = """\
from standardwebhooks import Webhook  # also for Node.js, PHP, Java, C#, Ruby, Go, Rust and Elixir

Webhook(secret).verify(body, headers)  # raises WebhookVerificationError
"""
SNIPPETS = (
    ("Python", PYTHON),
    ("Node.js", NODE),
    ("PHP", PHP),
    ("With the standardwebhooks library", WITH_LIBRARY),
)
