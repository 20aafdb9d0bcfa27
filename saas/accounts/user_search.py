"""Search users by a part of the address or name, or by the id."""

from django.db.models import Q

from saas.accounts.email_addresses import with_ascii_domain
from saas.text_normalization import search_variants


def search_condition(search: str) -> Q:
    """Return the condition on users. Text matches in any form of Unicode, a domain also as it is stored (A-label)."""
    found = Q(id=search)
    for form in search_variants(search):
        found |= Q(email__icontains=form) | Q(full_name__icontains=form)
    for address in with_ascii_domain(search):
        found |= Q(email__icontains=address)
    return found
