"""Where the microseconds of a request go, and whose they are: ``manage.py bench profile <design>``."""
