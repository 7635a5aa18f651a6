"""The search of the whole account: a page, and the dialog that Ctrl+K opens on every page."""
