"""The authentication API, which Product and Parity both serve."""
