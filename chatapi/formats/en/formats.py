"""Times to the second, in UTC, in an order that can be compared: the staff desk shows many."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
