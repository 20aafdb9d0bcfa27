"""Writing a new module of the product, and taking it out again: what ``add_module`` and ``remove_module`` do."""
