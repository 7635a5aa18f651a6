"""Files that messages carry: what they may be, where they come from, where they are kept, and their links."""
