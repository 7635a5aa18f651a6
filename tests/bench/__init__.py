"""`make bench`: our figures beside others', measured in one run on this machine."""
