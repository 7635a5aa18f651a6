"""What keeps the messages of instances in order: the proof that none was lost, and retention."""
