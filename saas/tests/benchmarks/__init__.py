"""How fast, against what: ``manage.py bench <name>``. Ratios of one run count, never a figure alone."""
