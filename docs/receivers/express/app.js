// Express: replies to every text message from a contact. API_URL, TOKEN and SECRET belong to the instance.
const crypto = require('node:crypto');
const express = require('express');

const { API_URL, TOKEN, SECRET, PORT = 5000 } = process.env;
if (!API_URL || !TOKEN || !SECRET) throw new Error('Set API_URL, TOKEN and SECRET.');
const key = Buffer.from(SECRET.replace(/^whsec_/, ''), 'base64');
const seen = new Set(); // the 1000 most recent webhook-ids

// There can be two signatures: for a day after a rotation, hooks are signed with the new and the old secret.
function isSigned(req) {
  if (!Buffer.isBuffer(req.body)) return false;
  const timestamp = req.get('webhook-timestamp');
  const hmac = crypto.createHmac('sha256', key).update(`${req.get('webhook-id')}.${timestamp}.`).update(req.body);
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`);
  const given = (req.get('webhook-signature') ?? '').split(' ').map((one) => Buffer.from(one));
  return given.some((one) => one.length === expected.length && crypto.timingSafeEqual(one, expected))
    && Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300;
}

function isNew(id) {
  if (seen.has(id)) return false;
  seen.add(id);
  if (seen.size > 1000) seen.delete(seen.values().next().value);
  return true;
}

async function send(chatId, body) {
  const response = await fetch(`${API_URL}sendMessage`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ chatId, body }),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`sendMessage responded ${response.status}`);
  const { sent, message } = await response.json();
  if (!sent) console.error(`Not sent: ${message}`);
}

const app = express();
app.post('/', express.raw({ type: () => true, limit: '1mb' }), async (req, res) => {
  if (!isSigned(req)) return res.sendStatus(401);
  const id = req.get('webhook-id');
  if (!isNew(id)) return res.sendStatus(200);
  try {
    for (const message of JSON.parse(req.body).messages ?? []) { // no messages in other families: respond 200
      if (!message.fromMe && message.type === 'chat') await send(message.chatId, `You wrote: ${message.body}`);
    }
  } catch (error) {
    console.error(error);
    seen.delete(id); // so that the retry is processed
    return res.sendStatus(500);
  }
  return res.sendStatus(200);
});
app.listen(PORT, () => console.log(`Listening on http://localhost:${PORT}/`));
