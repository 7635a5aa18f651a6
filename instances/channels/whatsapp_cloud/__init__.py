"""WhatsApp Business through Meta's Cloud API. docs/channels/whatsapp.md has the steps to the first message."""
