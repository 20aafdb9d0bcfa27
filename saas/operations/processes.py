"""Processes of this machine."""

import os


def is_process_alive(pid: int) -> bool:
    """Whether a process with this id exists, of whatever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
