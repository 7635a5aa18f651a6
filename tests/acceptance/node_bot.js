// A bot as old clients wrote them: unsigned hooks, the token in the URL, old names of methods, and no response to hooks
// of its own messages.
const express = require('express');

const { API_URL, TOKEN, PORT } = process.env;
const PICTURE = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

async function api(method, params) {
  const response = await fetch(`${API_URL}/${method}?token=${TOKEN}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(params),
  });
  return response.json();
}

const COMMANDS = {
  chatid: ({ chatId }) => api('message', { chatId, body: chatId }),
  me: ({ chatId, senderName }) => api('message', { chatId, body: `You are ${senderName}` }),
  file: ({ chatId }) => api('sendFile', { chatId, body: PICTURE, filename: 'dot.png', caption: 'a dot' }),
  geo: ({ chatId }) => api('sendLocation', { chatId, lat: 51.1789, lng: -1.8262, address: 'Stonehenge' }),
};
const help = ({ chatId }) => api('message', { chatId, body: `Commands: ${Object.keys(COMMANDS).join(', ')}` });

const app = express();
app.use(express.json());
app.post('/webhook', async (req, res) => {
  for (const message of req.body.messages ?? []) {
    if (message.fromMe) return; // without a response
    await (COMMANDS[message.body.toLowerCase()] ?? help)(message);
  }
  res.send('Ok');
});
app.listen(PORT);
