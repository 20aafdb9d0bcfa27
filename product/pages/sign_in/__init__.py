"""Registering, logging in and out, the second step, and sign-in at a provider."""
