"""What a new module must not be called, because something is called so already."""

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from rest_framework.serializers import Serializer

from saas.accounts.models import User
from saas.accounts.privacy.data_sources import personal_data_sources
from saas.api.openapi import schema_files
from saas.billing.catalogue import limits_and_features
from saas.fields import PrefixedIdField
from saas.management.modules import templates
from saas.management.modules.names import ModuleNames, ModuleRefused
from saas.teams.models import Team
from saas.teams.roles import ROLES_BY_PERMISSION

PACKAGES = ("saas", "product", "admin_ops")


def require_no_collision(root: Path, names: ModuleNames, owned_by: str) -> None:
    """Raise ``ModuleRefused`` with the first thing that has one of the names already."""
    for fault in find_collisions(root, names, owned_by):
        raise ModuleRefused(fault)


def find_collisions(root: Path, names: ModuleNames, owned_by: str) -> Iterator[str]:
    """A sentence for each."""
    yield from _folders(root, names)
    yield from _code(names, owned_by)
    yield from _models(names)
    yield from _api(names, owned_by)
    yield from _registers(names)


def _folders(root: Path, names: ModuleNames) -> Iterator[str]:
    for package in PACKAGES:
        for path in (root / package / names.plural, root / package / f"{names.plural}.py"):
            if path.is_file() or any(file.suffix != ".pyc" for file in path.rglob("*") if file.is_file()):
                yield f"There is {path.relative_to(root)} already: choose another name, or take that away first."
    if names.plural in {config.label for config in apps.get_app_configs()}:
        yield f"There is an app `{names.plural}` already: choose another name."


def _code(names: ModuleNames, owned_by: str) -> Iterator[str]:
    mine = {names.plural, names.singular, names.model, names.models}
    for word in sorted(mine & templates.words_in_use(owned_by)):
        yield f"The generated code uses `{word}` for something else: choose a more particular name."
    for word in (names.plural, names.singular):
        if hasattr(Serializer, word):
            yield f"No field of an answer can be called `{word}`: choose a more particular name."
        if hasattr(Team, word) or hasattr(User, word):
            yield f"Teams or users have a field `{word}` already: choose a more particular name."


def _models(names: ModuleNames) -> Iterator[str]:
    for model in apps.get_models():
        if model.__name__.lower() == names.model.lower():
            yield f"There is a model `{model._meta.label}` already: choose another name."
        if model._meta.db_table == f"{names.plural}_{names.model.lower()}":
            yield f"There is a table `{model._meta.db_table}` already: choose another name."
        if isinstance(model._meta.pk, PrefixedIdField) and model._meta.pk.prefix == names.prefix:
            yield f"The ids of `{model._meta.label}` begin with `{names.prefix}_` already: choose another name."


def _api(names: ModuleNames, owned_by: str) -> Iterator[str]:
    document = schema_files.read_document("product")
    route = f"/api/teams/{{team_id}}/{names.slug}" if owned_by == "team" else f"/api/{names.slug}"
    if any(f"{path}/".startswith(f"{route}/") for path in document["paths"]):
        yield f"There is a route `{route}` already: choose another name."
    operations = {one["operationId"] for methods in document["paths"].values() for one in methods.values()}
    one = names.singular
    for id in sorted({names.plural, one, f"{one}_create", f"{one}_rename", f"{one}_archive"} & operations):
        yield f"There is an operation `{id}` already: choose another name."
    shapes = {names.model, names.models, f"One{names.model}", f"{names.model}Request"}
    for name in sorted(shapes & document.get("components", {}).get("schemas", {}).keys()):
        yield f"There is a shape `{name}` in the API already: choose another name."


def _registers(names: ModuleNames) -> Iterator[str]:
    if names.plural in limits_and_features.limit_keys():
        yield f"There is a plan limit `{names.plural}` already: choose another name."
    if names.plural in {permission.partition(".")[0] for permission in ROLES_BY_PERMISSION}:
        yield f"There are permissions `{names.plural}.…` already: choose another name."
    if names.plural in {source.name for source in personal_data_sources()}:
        yield f"There is a part `{names.plural}` in the export of personal data already: choose another name."
