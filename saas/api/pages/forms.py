"""Forms of pages: how the fields of an API body look. What is valid, the body's serializer says.

PROFILE = FormSpec(ProfileBody, Field("display_name", _("Name"), autocomplete="name"))

form = PROFILE.filled(request.POST)
changes = form.cleaned()          # raises Invalid, with the sentences of the serializer
form.refuse(refusal)              # the sentences of an action's refusal, beside their fields
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.utils.functional import Promise
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext
from rest_framework.serializers import BooleanField, Serializer
from rest_framework.serializers import Field as SerializerField

from saas.api.problems import flatten_errors
from saas.errors import DomainError, Invalid

SECRET_TYPES = frozenset({"password"})  # never sent back


@dataclass(frozen=True)
class Field:
    """``name`` is the serializer's; ``kind`` the ``type`` of the input, or ``textarea``, ``select``, ``checkbox``, ``hidden``.

    ``options``: value and label of each choice; with ``keeps_unlisted`` a value that is none of them is one more, so that the
    form does not replace it by the first. ``help`` says what is wanted before anything is wrong.
    """

    name: str
    label: str | Promise
    kind: str = "text"
    help: str | Promise = ""
    autocomplete: str = ""
    inputmode: str = ""
    placeholder: str = ""
    required: bool = True
    maxlength: int | None = None
    options: Sequence[tuple[str, str | Promise]] = ()
    keeps_unlisted: bool = False
    _options_html: dict[str, SafeString] = field(default_factory=dict, init=False, repr=False, compare=False)

    def options_html(self, language: str) -> SafeString:
        """All options, none of them selected. Made once for each language: there are 500 time zones."""
        if language not in self._options_html:
            self._options_html[language] = format_html_join("", '<option value="{}">{}</option>', self.options)
        return self._options_html[language]


@dataclass(frozen=True)
class FormSpec:
    serializer_class: type[Serializer[Any]]
    fields: tuple[Field, ...]

    def __init__(self, serializer_class: type[Serializer[Any]], *fields: Field) -> None:
        object.__setattr__(self, "serializer_class", serializer_class)
        object.__setattr__(self, "fields", fields)

    @cached_property
    def serializer_fields(self) -> Mapping[str, SerializerField[Any, Any, Any, Any]]:
        """For reading their bounds only: a serializer copies its fields each time it is made."""
        return dict(self.serializer_class().fields)

    def blank(self, **initial: Any) -> "Form":
        """The form before anything was typed."""
        return Form(self, {name: "" if value is None else value for name, value in initial.items()})

    def filled(self, sent: Mapping[str, str], **more: Any) -> "Form":
        """The form with what was sent. ``more``: values that no field shows, such as a choice made by a button."""
        typed: dict[str, Any] = {}
        for one in self.fields:
            if one.kind == "checkbox":
                typed[one.name] = one.name in sent
            elif one.name in sent:
                typed[one.name] = str(sent[one.name]).replace("\x00", "").replace("\r\n", "\n")
        return Form(self, {**typed, **more})


@dataclass
class Form:
    """A form on its page: values, and the sentences of what is wrong."""

    spec: FormSpec
    values: dict[str, Any]
    errors: dict[str, list[str]] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)  # of no single field
    key: str = ""  # tells two sendings of one form from two forms

    def cleaned(self) -> dict[str, Any]:
        """What the serializer makes of the values. Raises ``Invalid``."""
        serializer = self.spec.serializer_class(data=self.values)
        if not serializer.is_valid():
            raise Invalid(errors=dict(flatten_errors(serializer.errors)))
        return dict(serializer.validated_data)

    def refuse(self, refusal: DomainError) -> "Form":
        """Show a refusal: beside its fields where it names any, else above the form."""
        names = {one.name for one in self.spec.fields}
        for name, sentences in (refusal.errors or {}).items():
            translated = [gettext(sentence) for sentence in sentences]
            if (top := name.partition(".")[0]) in names:
                self.errors.setdefault(top, []).extend(translated)
            else:
                self.sentences.extend(translated)
        if not refusal.errors:
            self.sentences.append(gettext(refusal.detail))
        return self

    @property
    def first_error(self) -> str:
        """The name of the first field with something wrong; empty without one."""
        return next((one.name for one in self.spec.fields if one.name in self.errors), "")

    def __iter__(self) -> Iterator["ShownField"]:
        return (ShownField(one, self) for one in self.spec.fields)

    def __getitem__(self, name: str) -> "ShownField":
        """The field of this name. Raises ``KeyError``: templates then look for an attribute."""
        for shown in self:
            if shown.field.name == name:
                return shown
        raise KeyError(name)


@dataclass(frozen=True)
class ShownField:
    """What the template ``pages/parts/field.html`` renders."""

    field: Field
    form: Form

    @property
    def id(self) -> str:
        return f"id_{self.field.name}"

    @property
    def value(self) -> Any:
        return "" if self.field.kind in SECRET_TYPES else self.form.values.get(self.field.name, "")

    @property
    def errors(self) -> list[str]:
        return self.form.errors.get(self.field.name, [])

    @property
    def is_focused(self) -> bool:
        """Of the fields with something wrong, the first."""
        return self.form.first_error == self.field.name

    @property
    def described_by(self) -> str:
        ids = [f"{self.id}_error"] if self.errors else []
        ids += [f"{self.id}_help"] if self.field.help else []
        return " ".join(ids)

    @property
    def maxlength(self) -> int | None:
        """None for a password: a browser would cut off what is pasted, and set another one than the person keeps."""
        if self.field.kind in SECRET_TYPES:
            return None
        if self.field.maxlength:
            return self.field.maxlength
        return getattr(self._serializer_field, "max_length", None)

    @property
    def is_required(self) -> bool:
        return self.field.required and not isinstance(self._serializer_field, BooleanField)

    @property
    def options_html(self) -> SafeString:
        of_value = f'value="{escape(self.value)}"'
        html = self.field.options_html(get_language() or "")
        if self.field.keeps_unlisted and self.value and of_value not in html:
            html = format_html('<option value="{0}">{0}</option>{1}', self.value, html)
        return mark_safe(html.replace(of_value, f"{of_value} selected", 1))  # noqa: S308 - all of it is escaped

    @property
    def _serializer_field(self) -> SerializerField[Any, Any, Any, Any] | None:
        return self.form.spec.serializer_fields.get(self.field.name)
