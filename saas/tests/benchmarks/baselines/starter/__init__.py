"""The public starter's intake, in memory: nothing of it outlives the process."""
