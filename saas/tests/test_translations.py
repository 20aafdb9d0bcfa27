"""Every text of pages and mails is marked, and translated into every language."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from saas.localization import catalogs
from saas.localization.dates import long_date
from saas.localization.messages import Message, find_messages, template_files

# Comments, tags with their texts, and values: what is left is sent as it stands.
_TAGS = re.compile(
    r"{%\s*comment.*?endcomment\s*%}|{#.*?#}|{%\s*blocktrans.*?{%\s*endblocktrans\w*\s*%}|{%.*?%}|{{.*?}}", re.DOTALL
)
_UNREAD = re.compile(r"<!--.*?-->|<(style|code)\b.*?</\1>", re.DOTALL)
_READ_ATTRIBUTE = re.compile(r'\b(?:aria-label|title|alt|placeholder|data-copied)="([^"]*)"')
_BARE_ATTRIBUTE = re.compile(r'[\w-]+="[^"]*"|\b(?:required|autofocus)\b')  # in a part that is only attributes
_WORD = re.compile(r"[^\W\d_]{2,}")
NAMES = {"SaaS", "API", "HTML"}
_CLASSES = re.compile(r"{%\s*block \w+_(?:class|width)\s*%}.*?{%\s*endblock\s*%}", re.DOTALL)


def unmarked(template: str) -> list[str]:
    """Texts of a template's source that are not marked for translation."""
    source = _UNREAD.sub(" ", _TAGS.sub("\x00", _CLASSES.sub("", template)))
    attributes = _READ_ATTRIBUTE.findall(source)
    texts = _BARE_ATTRIBUTE.sub("", re.sub(r"<[^>]*>", "\n", source)).split("\n")
    found = [" ".join(text.replace("\x00", " ").split()) for text in (*attributes, *texts)]
    return [text for text in found if set(_WORD.findall(text.replace("&nbsp;", " "))) - NAMES]


def shown_to_customers() -> list[Path]:
    return [path for root in catalogs.ROOTS for path in template_files(settings.BASE_DIR / root)]


def test_every_catalogue_is_complete_and_compiled() -> None:
    assert catalogs.find_catalog_faults() == []


@pytest.mark.parametrize("path", shown_to_customers(), ids=lambda path: path.relative_to(settings.BASE_DIR).as_posix())
def test_a_template_holds_no_text_that_is_not_marked(path: Path) -> None:
    assert unmarked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{{ name }} pays</p>", ["pays"]),
        ('<input placeholder="Your name">', ["Your name"]),
        ('<p>{% translate "Hello" %} {{ name }}: 12 – ✓</p>', []),
        ("{% blocktranslate %}Hello <b>{{ name }}</b>{% endblocktranslate %}", []),
        ('<a class="button wide" href="/login">{% translate "Log in" %}</a>', []),
        ("{% comment %}For us{% endcomment %}<code>pip install</code>", []),
    ],
)
def test_an_unmarked_text_is_seen(template: str, found: list[str]) -> None:
    assert unmarked(template) == found


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    (tmp_path / "actions.py").write_text(
        "LIMIT = 3\n"
        "class Full(DomainError):\n    code, title = 'full', 'It is full.'\n"
        "def act():\n    raise Invalid(errors={'name': [f'Give at most {LIMIT} names.']})\n"
        "LABEL = _('A label')\n"
    )
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(
        '{% load i18n %}{% translate "Hello" %}'
        "{% blocktranslate count n=n %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}"
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text("_('Of a test')\n")
    return tmp_path


def test_marked_texts_and_the_sentences_of_refusals_are_found(marked: Path) -> None:
    assert find_messages(marked) == {
        Message("A label"),
        Message("It is full."),
        Message("Give at most 3 names."),
        Message("Hello"),
        Message(("%(n)s day", "%(n)s days")),
    }


def _break(settings, marked: Path, change: str) -> list[str]:
    """The faults of a catalogue with every translation filled in, after ``change`` of its file."""
    settings.BASE_DIR = marked.parent
    path = marked / "locale/de/LC_MESSAGES/django.po"
    path.parent.mkdir(parents=True)
    path.write_bytes(catalogs.po_bytes(catalogs.updated_catalog(marked.name, catalogs.read_catalog(path, "de"), "de")))
    text = path.read_text().replace('msgstr ""\n\n', 'msgstr "Ja"\n\n').replace('[0] ""', '[0] "%(n)s Tag"')
    path.write_text(text.replace('[1] ""', '[1] "%(n)s Tage"').rstrip() + "\n\n")
    filled = path.read_text()
    if filled.rstrip().endswith('msgstr ""'):
        filled = filled.rstrip()[:-1] + 'Ja"\n\n'
    path.write_text(filled)
    path.with_suffix(".mo").write_bytes(catalogs.mo_bytes(catalogs.read_catalog(path, "de")))
    before, _, after = change.partition(" -> ")
    assert not change or before in path.read_text()
    path.write_text(path.read_text().replace(before, after) if change else path.read_text())
    return catalogs.find_catalog_faults()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("", ""),
        ('msgid "A label"\nmsgstr "Ja" -> msgid "A label"\nmsgstr ""', "lacks 'A label'"),
        ('msgid "A label" -> #, fuzzy\nmsgid "A label"', "unsure of 'A label'"),
        ('msgid "A label" -> msgid "Another label"', "does not hold what is marked"),
        ('"%(n)s Tage" -> "%(m)s Tage"', "unknown named placeholder"),
        ('msgid "A label"\nmsgstr "Ja" -> msgid "A label"\nmsgstr "Nein"', "was not made of it"),
    ],
    ids=["whole", "missing", "fuzzy", "renamed", "placeholder", "not compiled"],
)
def test_a_fault_of_a_catalogue_is_named(settings, monkeypatch, marked: Path, change: str, fault: str) -> None:
    monkeypatch.setattr(catalogs, "ROOTS", (marked.name,))
    found = _break(settings, marked, change)

    assert found == [] if not fault else any(fault in one for one in found), found


def test_django_finds_the_catalogues() -> None:
    with translation.override("de"):
        assert translation.gettext("This is not your password.") == "Das ist nicht Ihr Passwort."
        assert translation.gettext("Give the last four digits.") == "Geben Sie die letzten vier Ziffern an."


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "3 December 2026"),
        ("de", "3. Dezember 2026"),
        ("de-AT", "3. Dezember 2026"),
        ("fr", "3 December 2026"),
    ],
)
def test_a_day_is_written_as_its_readers_write(locale: str, text: str) -> None:
    from datetime import date

    assert long_date(date(2026, 12, 3), locale) == text
