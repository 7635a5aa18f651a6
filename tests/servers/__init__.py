"""Real servers that tests start: those of messengers that can be installed."""
