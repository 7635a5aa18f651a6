// Express: answers every text that a contact writes. API_URL, TOKEN and SECRET are the instance's.
const crypto = require('node:crypto');
const express = require('express');

const { API_URL, TOKEN, SECRET, PORT = 5000 } = process.env;
if (!API_URL || !TOKEN || !SECRET) throw new Error('API_URL, TOKEN and SECRET are needed.');
const key = Buffer.from(SECRET.replace(/^whsec_/, ''), 'base64');
const seen = new Set(); // the last thousand webhook-ids

// There may be several signatures: while the secret is being changed, one by the new and one by the old.
function isSigned(req) {
  if (!Buffer.isBuffer(req.body)) return false;
  const stamp = req.get('webhook-timestamp');
  const hmac = crypto.createHmac('sha256', key).update(`${req.get('webhook-id')}.${stamp}.`).update(req.body);
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`);
  const given = (req.get('webhook-signature') ?? '').split(' ').map((one) => Buffer.from(one));
  return given.some((one) => one.length === expected.length && crypto.timingSafeEqual(one, expected))
    && Math.abs(Date.now() / 1000 - Number(stamp)) <= 300;
}

function isNew(id) {
  if (seen.has(id)) return false;
  seen.add(id);
  if (seen.size > 1000) seen.delete(seen.values().next().value);
  return true;
}

async function send(chatId, body) {
  const answer = await fetch(`${API_URL}sendMessage`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ chatId, body }),
    signal: AbortSignal.timeout(5000),
  });
  if (!answer.ok) throw new Error(`sendMessage answered ${answer.status}`);
  const { sent, message } = await answer.json();
  if (!sent) console.error(`Not sent: ${message}`);
}

const app = express();
app.post('/', express.raw({ type: () => true, limit: '1mb' }), async (req, res) => {
  if (!isSigned(req)) return res.sendStatus(401);
  const id = req.get('webhook-id');
  if (!isNew(id)) return res.sendStatus(200);
  try {
    for (const message of JSON.parse(req.body).messages ?? []) { // other families have none: just 200
      if (!message.fromMe && message.type === 'chat') await send(message.chatId, `You wrote: ${message.body}`);
    }
  } catch (error) {
    console.error(error);
    seen.delete(id); // so that the hook may come again
    return res.sendStatus(500);
  }
  return res.sendStatus(200);
});
app.listen(PORT, () => console.log(`Listening on http://localhost:${PORT}/`));
