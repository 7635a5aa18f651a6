// Express and Google Sheets: adds a row for every message from a contact, and replies "Noted." to text messages.
// API_URL, TOKEN and SECRET belong to the instance; CREDENTIALS is the path of a Google service account's JSON key.
const crypto = require('node:crypto');
const fs = require('node:fs');
const express = require('express');

const { API_URL, TOKEN, SECRET, CREDENTIALS, SPREADSHEET_ID, PORT = 5000 } = process.env;
const { SHEETS_URL = 'https://sheets.googleapis.com' } = process.env;
if (!API_URL || !TOKEN || !SECRET || !CREDENTIALS || !SPREADSHEET_ID) {
  throw new Error('Set API_URL, TOKEN, SECRET, CREDENTIALS and SPREADSHEET_ID.');
}
const account = JSON.parse(fs.readFileSync(CREDENTIALS, 'utf8'));
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

// At most three calls of 3 s each: the hook must be responded to within 10 s.
async function post(url, headers, body) {
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(3000) });
  if (!response.ok) throw new Error(`${new URL(url).host} responded ${response.status}`);
  return response.json();
}

function postJson(url, token, body) {
  return post(url, { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, JSON.stringify(body));
}

let access = { token: '', until: 0 };
async function accessToken() { // as in Google's "OAuth 2.0 for server to server applications"
  const now = Math.floor(Date.now() / 1000);
  if (now < access.until) return access.token;
  const scope = 'https://www.googleapis.com/auth/spreadsheets';
  const claims = { iss: account.client_email, scope, aud: account.token_uri, iat: now, exp: now + 3600 };
  const parts = [{ alg: 'RS256', typ: 'JWT' }, claims];
  const unsigned = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = crypto.sign('RSA-SHA256', Buffer.from(unsigned), account.private_key).toString('base64url');
  const response = await post(account.token_uri, {}, new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: `${unsigned}.${signature}`,
  }));
  access = { token: response.access_token, until: now + response.expires_in - 60 };
  return access.token;
}

async function addRow(message) {
  const row = [message.id, new Date(message.time * 1000).toISOString(), message.senderName, message.chatId,
    message.type, message.body];
  // RAW: a message that starts with "=" is stored as text, not as a formula
  const url = `${SHEETS_URL}/v4/spreadsheets/${SPREADSHEET_ID}/values/A1:append?valueInputOption=RAW`;
  await postJson(url, await accessToken(), { values: [row] });
}

async function reply(message) {
  const response = await postJson(`${API_URL}sendMessage`, TOKEN, { chatId: message.chatId, body: 'Noted.' });
  if (!response.sent) console.error(`Not sent: ${response.message}`);
}

const app = express();
app.post('/', express.raw({ type: () => true, limit: '1mb' }), async (req, res) => {
  if (!isSigned(req)) return res.sendStatus(401);
  const id = req.get('webhook-id');
  if (!isNew(id)) return res.sendStatus(200);
  try {
    for (const message of JSON.parse(req.body).messages ?? []) { // no messages in other families: respond 200
      if (message.fromMe) continue;
      await addRow(message);
      if (message.type === 'chat') await reply(message);
    }
  } catch (error) {
    console.error(error);
    seen.delete(id); // so that the retry is processed
    return res.sendStatus(500);
  }
  return res.sendStatus(200);
});
app.listen(PORT, () => console.log(`Listening on http://localhost:${PORT}/`));
