"""What can be wrong with a backup; str() is a sentence for the operator."""


class BackupError(Exception):
    """The command cannot continue."""


class DamagedBackup(BackupError):
    """The file is not what `manage.py backup` has written."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The backup is damaged: {reason}. Nothing was restored from it; use another one.")
