"""What comes in and goes out of the staff API, by subject."""
