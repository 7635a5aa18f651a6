"""The URLs to which messengers send their events."""
