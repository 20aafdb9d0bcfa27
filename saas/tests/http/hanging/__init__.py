"""``python -m saas.tests.http.hanging``: the webhooks service with a URL that hangs its worker forever, and a parent that
detects a hanging worker after ``SECONDS`` instead of half a minute."""

SECONDS = 3.0
PATH = "/hang"
