"""``python -m djstripe_project.prepare <uuid>``: the tables, and an endpoint that takes the benchmark's deliveries.

dj-stripe asks Stripe whose account the key is if it does not know: so the key's account is written beforehand, and no
request leaves the machine. The mode is the usual one, inline: a row for the request, the signature, a row for the event.
No handler of dj-stripe's is registered for the benchmark's event type; those of real types would fetch objects.
"""

import os
import sys

import django
from django.core.management import call_command
from django.db import connection


def main(uuid: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA djstripe")
    call_command("migrate", run_syncdb=True, verbosity=0)
    _register(uuid)


def _register(uuid: str) -> None:
    from django.conf import settings
    from djstripe.models import Account, APIKey, WebhookEndpoint

    account = Account.objects.create(id="acct_benchmark", livemode=False)
    APIKey.objects.create(
        secret=settings.STRIPE_TEST_SECRET_KEY, type="secret", livemode=False, djstripe_owner_account=account
    )
    WebhookEndpoint.objects.create(
        id="we_benchmark",
        livemode=False,
        djstripe_owner_account=account,
        djstripe_uuid=uuid,
        djstripe_validation_method="verify_signature",
        secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        enabled_events=["*"],
        status="enabled",
        url="https://example.net/stripe/webhook",
    )


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "djstripe_project.settings"
    django.setup()
    main(sys.argv[1])
