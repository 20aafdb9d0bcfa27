"""The staff API, by subject."""
