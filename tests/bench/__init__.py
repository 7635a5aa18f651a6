"""`make bench`: Chat API compared with other senders, measured in one run on this machine."""
