"""``manage.py billing_reconcile``: fetch every customer from the payment provider, and repair the rows that differ."""

from typing import Any

from saas.billing.sync.reconcile import reconcile_customers
from saas.management.billing import BillingCommand
from saas.management.terminal import write_each


class Command(BillingCommand):
    help = "Ask the payment provider about every customer and repair the rows that differ. Beat does it every night."

    def handle(self, *args: Any, **options: Any) -> None:
        count = write_each(self.stdout, "Asking the payment provider about every customer …", reconcile_customers())
        self.stdout.write(f"{count} differences")
