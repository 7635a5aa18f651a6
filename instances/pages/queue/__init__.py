"""The pages of what an instance sends: its queue with the failed messages, and one message with its tries."""
