"""The playground: a contact's phone, and beside it the hook of each message, the verdict, and the bot's reply."""
