"""What a module may be called, and what is made of its name."""

from pathlib import Path

import pytest
from django.conf import settings

from saas.management.modules.collisions import find_collisions, require_no_collision
from saas.management.modules.names import MAX_LENGTH, ModuleNames, ModuleRefused, module_names

ROOT = Path(settings.BASE_DIR)
FORM = (
    "is no module name: use lower-case ASCII letters, digits and single underscores, a letter first, "
    "such as `support_tickets`."
)


@pytest.mark.parametrize(
    ("name", "singular", "model", "slug", "prefix"),
    [
        ("projects", "project", "Project", "projects", "project"),
        ("support_tickets", "support_ticket", "SupportTicket", "support-tickets", "supportticke"),
        ("companies", "company", "Company", "companies", "company"),
        ("statuses", "status", "Status", "statuses", "status"),
        ("movies", "movie", "Movie", "movies", "movie"),
        ("people", "person", "Person", "people", "person"),
        ("s3_buckets", "s3_bucket", "S3Bucket", "s3-buckets", "s3bucket"),
    ],
)
def test_all_names_are_made_from_one(name: str, singular: str, model: str, slug: str, prefix: str) -> None:
    names = module_names(name)

    assert (names.singular, names.model, names.slug, names.prefix) == (singular, model, slug, prefix)


def test_an_irregular_singular_may_be_said() -> None:
    assert module_names("feedback", "feedback_entry") == ModuleNames("feedback", "feedback_entry")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Projects", f"'Projects' {FORM}"),
        ("", f"'' {FORM}"),
        ("my-projects", f"'my-projects' {FORM}"),
        ("2projects", f"'2projects' {FORM}"),
        ("_projects", f"'_projects' {FORM}"),
        ("my__projects", f"'my__projects' {FORM}"),
        ("projects_", f"'projects_' {FORM}"),
        ("../projects", f"'../projects' {FORM}"),
        ("saas/projects", f"'saas/projects' {FORM}"),
        ("projects\n", f"'projects\\n' {FORM}"),
        ("projécts", f"'projécts' {FORM}"),
        ("рrojects", f"'рrojects' {FORM}"),  # a Cyrillic р
        ("project", "`project` is no plural: use `projects`, or say what one is called with --singular."),
        ("class", "`class` is no plural: use `classes`, or say what one is called with --singular."),
        ("classes", "`class` is a word of Python: choose a more particular name, such as `customer_class`."),
        ("lists", "`list` is a word of Python: choose a more particular name, such as `customer_list`."),
        ("matches", "`match` is a word of Python: choose a more particular name, such as `customer_match`."),
        ("news", "`news` has no singular of its own: choose another name, or give one with --singular."),
        ("helpers", "`helpers` says nothing about what is in the module: name it after its objects."),
        ("x" * 20 + "s", f"`{'x' * 20}s` is too long: {MAX_LENGTH} characters are the most."),
    ],
)
def test_a_name_that_will_not_do_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ModuleRefused) as refusal:
        module_names(name)

    assert str(refusal.value) == sentence


def test_a_singular_that_will_not_do_is_refused() -> None:
    with pytest.raises(ModuleRefused, match=r"^'\.\./x' is no module name"):
        module_names("projects", "../x")
    with pytest.raises(ModuleRefused, match=r"^`news` has no singular of its own"):
        module_names("news", "news")


@pytest.mark.parametrize(
    ("name", "owned_by", "sentence"),
    [
        ("teams", "team", "There is saas/teams already: choose another name, or take that away first."),
        (
            "permissions",
            "team",
            "The generated code uses `permission` for something else: choose a more particular name.",
        ),
        ("actors", "team", "The generated code uses `Actor` for something else: choose a more particular name."),
        ("validators", "user", "No field of an answer can be called `validators`: choose a more particular name."),
        ("memberships", "user", "Teams or users have a field `memberships` already: choose a more particular name."),
        ("refresh_tokens", "user", "There is a model `accounts.RefreshToken` already: choose another name."),
        ("identities", "user", "There is an operation `identities` already: choose another name."),
        ("members", "team", "There is a route `/api/teams/{team_id}/members` already: choose another name."),
        ("portals", "user", "There is a shape `Portal` in the API already: choose another name."),
        ("seats", "team", "There is a plan limit `seats` already: choose another name."),
        ("members", "user", "There are permissions `members.…` already: choose another name."),
        ("mails", "user", "There is a model `mail.Mail` already: choose another name."),
    ],
)
def test_a_name_that_is_taken_is_refused_in_one_sentence(name: str, owned_by: str, sentence: str) -> None:
    assert sentence in list(find_collisions(ROOT, module_names(name), owned_by))
    with pytest.raises(ModuleRefused):
        require_no_collision(ROOT, module_names(name), owned_by)


@pytest.mark.parametrize("owned_by", ["team", "user"])
def test_a_free_name_is_not_refused(owned_by: str) -> None:
    require_no_collision(ROOT, module_names("support_tickets"), owned_by)
