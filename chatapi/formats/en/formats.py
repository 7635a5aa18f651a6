"""Times to the second, in UTC, in sortable order: the support desk shows many."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
