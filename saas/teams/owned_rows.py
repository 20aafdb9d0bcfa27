"""The rows that other modules keep for a team. They are deleted with it: of a deleted team only its own row stays.

A module registers its models in its ``personal_data.py``: ``register_owned_rows(Project, "team")``. A test compares the register
with the models that refer to a team.
"""

from django.db import models

from saas.teams.models import Team

_owned: list[tuple[type[models.Model], str]] = []


def register_owned_rows(model: type[models.Model], field: str) -> None:
    """Register a model whose ``field`` is the team. Rows are deleted in the reverse order of registration."""
    _owned.append((model, field))


def owned_models() -> tuple[tuple[type[models.Model], str], ...]:
    return tuple(_owned)


def delete_owned_rows(team: Team) -> None:
    for model, field in reversed(_owned):
        model._default_manager.filter(**{field: team}).delete()
