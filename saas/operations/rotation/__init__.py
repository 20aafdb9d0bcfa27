"""Rotating secrets without an interruption: what each process accepts, and which phase may come next."""
