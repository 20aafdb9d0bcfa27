"""``python -m saas.tests.http.hanging``: the webhooks service with an address that holds its worker for ever, and a parent that
notices after ``SECONDS`` instead of half a minute."""

SECONDS = 3.0
PATH = "/hang"
