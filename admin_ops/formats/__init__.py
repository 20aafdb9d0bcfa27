"""How the desk writes dates: short, the same everywhere, and never to be taken for another month's."""
