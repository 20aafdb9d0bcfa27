"""Names, searches and codes as people type them, and what only pretends to be a name. (T93)"""

import unicodedata

import pytest

from saas import text_normalization

HIDING = {
    "a zero width space": "Kim\u200b",
    "a zero width space alone": "\u200b",
    "a turn to the left": "\u202eegaP nimdA",
    "an isolated turn": "Kim \u2067evil\u2069",
    "a mark of direction": "Kim\u200f",
    "a soft hyphen": "K\u00adim",
    "a byte order mark": "\ufeffKim",
    "a word joiner": "Ki\u2060m",
    "a joiner of nothing": "Ki\u200dm",
    "a non-joiner of nothing": "Ki\u200cm",
    "a blank letter": "\u3164",
    "a blank braille pattern": "Kim\u2800",
    "a joiner of graphemes": "K\u034fim",
    "tags": "Kim\U000e0041",
    "a selector after a letter": "K\ufe0fim",
    "private use": "Kim\ue000",
}
VISIBLE = {
    "plain": "Kim Example",
    "accents": "Zoë Ångström",
    "Persian with a non-joiner": "علی\u200cرضا",
    "Hindi with a joiner": "क्\u200dष",
    "Hebrew": "דָּוִד",
    "Arabic": "محمد",
    "Chinese": "王小明",
    "Japanese with a variant": "渡邉\U000e0101",
    "Korean": "김민수",
    "an emoji of several": "👩\u200d🚀 Rockets",
    "an emoji with its colour": "👩🏽\u200d🚀",
    "an emoji with its look": "❤\ufe0f\u200d🔥",
    "a keycap": "Team 1\ufe0f\u20e3",
    "punctuation": "O'Brien-Smith, Jr. (IV)",
}


@pytest.mark.parametrize("kind", HIDING)
def test_a_name_with_something_that_cannot_be_seen_is_told(kind: str) -> None:
    assert text_normalization.name_error(HIDING[kind]) == text_normalization.HAS_INVISIBLE_CHARACTERS
    assert text_normalization.name_error(text_normalization.strip_invisible(HIDING[kind])) == ""


@pytest.mark.parametrize("kind", VISIBLE)
def test_a_name_of_any_script_is_taken_as_it_is(kind: str) -> None:
    name = unicodedata.normalize("NFC", VISIBLE[kind])

    assert (text_normalization.name_error(name), text_normalization.strip_invisible(name)) == ("", name)


@pytest.mark.parametrize("name", ["a\nb", "a\r\nBcc: b", "a\u2028b", "a\x1b[31m", "a\tb"])
def test_a_name_is_one_line(name: str) -> None:
    assert text_normalization.name_error(name) == text_normalization.NOT_ONE_LINE


@pytest.mark.parametrize("typed", ["Zo\u0065\u0308", "Zo\u00eb", "  Zo\u00eb "])
def test_what_looks_the_same_is_the_same(typed: str) -> None:
    assert text_normalization.normalize_name(typed) == "Zo\u00eb"


def test_what_is_looked_for_has_every_form() -> None:
    assert text_normalization.search_variants("Kim") == ("Kim",)
    assert set(text_normalization.search_variants("Zoe\u0308")) == {"Zoe\u0308", "Zo\u00eb"}
    assert "kim" in text_normalization.search_variants("\uff4b\uff49\uff4d")
    assert text_normalization.search_variants("\u200b") == ()


@pytest.mark.parametrize("typed", ["ibrahim", "Ibrahim", "\u0130brahim", "i\u0307brahim"])
def test_a_name_is_looked_for_with_and_without_the_dot_of_turkish(typed: str) -> None:
    assert {"ibrahim", "\u0130brahim"} <= {form.replace("I", "i") for form in text_normalization.search_variants(typed)}


def test_an_address_has_no_turkish_letters() -> None:
    assert text_normalization.search_variants("ida@example.net") == ("ida@example.net",)


@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        "123 456",
        " 123-456 ",
        "1 2 3 4 5 6",
        "123\u00a0456",
        "123\u2013456",
        "\uff11\uff12\uff13456\u200b",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
    ],
)
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert text_normalization.normalize_code(typed) == "123456"


def test_a_recovery_code_is_read_in_any_case() -> None:
    assert text_normalization.normalize_code("ABCD efgh-jkmn\u2014pqrs") == "abcdefghjkmnpqrs"
