"""The page Statistics: hooks and durations by hour or day, of all instances together or of one."""
