"""The files of messages: which are accepted, and how they are fetched. Storing them is instances.actions.media."""
