"""A service that has been asked to end: it goes on answering, but says that it wants no more requests.

One byte that all processes of one server share, made before they are forked.
"""

import mmap

_flag = mmap.mmap(-1, 1)


def start() -> None:
    """From now on ``/health/ready`` is 503, in this process and in those forked from it."""
    _flag[0] = 1


def is_on() -> bool:
    return bool(_flag[0])
