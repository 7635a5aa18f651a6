"""Export and deletion of an account: here, and not in accounts, because they read and delete from every app."""
