"""The bot's turn: a received message, its hooks, and the messages that the bot sent because of it."""
