"""The channel of WAHA, a server that drives WhatsApp on a person's own phone; channel.py puts its parts together."""
