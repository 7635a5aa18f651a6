"""The messages that an instance has received: their list by response, and the turn of one message."""
