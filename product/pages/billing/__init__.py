"""What a person or a team pays for: routed only where something is sold (``BILLING``), by ``product.billing.urls``."""
