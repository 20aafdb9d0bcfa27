"""Which texts mention a person, so that an erasure redacts them."""

import pytest

from saas.accounts.privacy.personal_values import PersonalValues

EMAIL = "Adalgisa.Quellenbrunn@mailbox.example"
NAME = "Adalgisa Quellenbrünn"


@pytest.mark.parametrize(
    "text",
    [
        EMAIL,
        EMAIL.upper(),
        f"Dear {NAME.upper()}!",
        EMAIL.replace("@", "%40"),
        EMAIL.replace("@", "%2540"),
        EMAIL.replace("@", "=40"),
        EMAIL.replace("@", "\\u0040"),
        EMAIL.replace("@", "&#64;"),
        EMAIL[:10] + "=\r\n" + EMAIL[10:],
        f"{{{EMAIL},other@example.net}}",
        "Adalgisa%20Quellenbr%C3%BCnn",
        "Adalgisa+Quellenbr%C3%BCnn",
        "Adalgisa Quellenbr\\u00fcnn",
        "Adalgisa Quellenbru\u0308nn",
        "Adalgisa Quellenbr\u00fcnns Rechnung",
        f"\u5ba2\u6237{NAME}\u6765\u7535",
        f'{{"note": "two lines\\n{EMAIL}\\n"}}',
        f"b'said \\x93{EMAIL}\\x94'",
        f"{EMAIL}. {EMAIL}_",
        f"see order-7-{EMAIL}",
        f"invoice_{EMAIL}.pdf",
        f"%22two%5Cn{EMAIL.replace('@', '%40')}%5Cn%22",
        f"{NAME}2 of {NAME}ek",
    ],
)
def test_a_quote_is_known_in_whatever_form(text: str) -> None:
    values = PersonalValues(frozenset({EMAIL}), frozenset({NAME}))

    assert values.redact({"a": [text, 1, None]}) == {"a": ["[erased]", 1, None]}


@pytest.mark.parametrize("text", ["other@mailbox.example", "Adalgisa", "quellenbrunn@mailbox.example", ""])
def test_what_only_resembles_the_person_stays(text: str) -> None:
    values = PersonalValues(frozenset({EMAIL}), frozenset({NAME, "Adalgisa"}))

    assert values.redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("Urban Life", "Can list all", "SWAN LIGHTS", "ran line 2"),
        *("diana@mail.example.com", "jo.ana@mail.example.com", "ana@mail.example.community"),
        "An Lind, Jan Li",
    ],
)
def test_letters_that_happen_to_stand_together_are_no_quote(text: str) -> None:
    values = PersonalValues(frozenset({"ana@mail.example.com"}), frozenset({"An Li"}))

    assert values.redact({"a": text}) == {"a": text}


@pytest.mark.parametrize(
    "text", ["An Li", "by an li, today", "AN LIs Konto", "An Li's", "(An Li)", "Urban Life of An Li"]
)
def test_a_short_name_is_a_quote_where_it_stands_by_itself(text: str) -> None:
    assert PersonalValues(frozenset(), frozenset({"An Li"})).redact(text) == "[erased]"
