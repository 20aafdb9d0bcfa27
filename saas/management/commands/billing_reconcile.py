"""``manage.py billing_reconcile``: fetch every customer from the payment provider, and repair the rows that differ."""

from typing import Any

from saas.billing.sync.reconcile import reconcile_customers
from saas.management.billing import BillingCommand


class Command(BillingCommand):
    help = "Ask the payment provider about every customer and repair the rows that differ. Beat does it every night."

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for sentence in reconcile_customers():
            count += 1
            self.stdout.write(sentence)
        self.stdout.write(f"{count} differences")
