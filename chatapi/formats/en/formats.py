"""Times with seconds and in sortable order, for the lists of the support desk."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
