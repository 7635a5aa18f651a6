"""What the admin classes of the support desk share: fast lists, search texts, and tools that change a row."""
