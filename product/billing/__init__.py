"""Plans, checkout, subscriptions, payment methods and invoices over HTTP."""
