"""Finding a person by what staff have of her: a part of the address or name, or the id."""

from django.db.models import Q

from saas.accounts.email_addresses import with_ascii_domain
from saas.text_normalization import search_variants


def search_condition(search: str) -> Q:
    """The condition on people. Text is looked for in any form of Unicode, a domain also as it is stored."""
    found = Q(id=search)
    for form in search_variants(search):
        found |= Q(email__icontains=form) | Q(full_name__icontains=form)
    for address in with_ascii_domain(search):
        found |= Q(email__icontains=address)
    return found
