"""A multi-service SaaS backend: the domain, and what runs it. Four services import it and nothing imports them."""

__version__ = "0.1.0"
