"""A bare ASGI application with group commit: what arrives while a commit is running is stored by the next one."""
