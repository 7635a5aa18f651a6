"""Telegram by a bot: messages of the Bot API, received by its webhook or by long polling."""
