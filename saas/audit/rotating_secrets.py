"""The audit trail's key can be rotated; an earlier one is needed as long as something that it signed is kept."""

from django.conf import settings

from saas.audit import signatures
from saas.audit.models import AuditSeal
from saas.operations.rotation.rotating_secrets import RotatingSecret, register


def count_links_of_other_keys() -> int:
    """How many signed links the current key does not verify."""
    links = AuditSeal.objects.exclude(signature="")
    return sum(signatures.sign_seal(link) != link.signature for link in links.iterator())


register(
    [
        RotatingSecret(
            "SAAS_AUDIT_KEY",
            lambda: [settings.AUDIT_KEY, *settings.AUDIT_KEY_FALLBACKS],
            count_unmoved=count_links_of_other_keys,
            unmoved="links of the audit trail are signed by it: `manage.py audit_retire` archives the oldest",
        )
    ]
)
