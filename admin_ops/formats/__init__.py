"""Dates on the admin site: short, the same everywhere, with the month as a word."""
