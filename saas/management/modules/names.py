"""The names of a module, all made from one word: ``support_tickets`` gives ``SupportTicket``, ``/support-tickets`` and so on."""

import builtins
import keyword
import re
from dataclasses import dataclass

import inflection

MAX_LENGTH = 20  # longer ones break the lines of the generated code
MAX_PREFIX_LENGTH = 12
SAY_NOTHING = {"utils", "helpers", "commons", "cores", "managers", "constants", "signals", "interfaces"}
_FORM = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class ModuleRefused(Exception):
    """The message is one sentence. Nothing was changed."""


@dataclass(frozen=True)
class ModuleNames:
    """``plural`` names the module, ``singular`` one of its objects."""

    plural: str
    singular: str

    @property
    def model(self) -> str:
        return inflection.camelize(self.singular)

    @property
    def models(self) -> str:
        return inflection.camelize(self.plural)

    @property
    def slug(self) -> str:
        return self.plural.replace("_", "-")

    @property
    def prefix(self) -> str:
        """Of the ids."""
        return self.singular.replace("_", "")[:MAX_PREFIX_LENGTH]

    def placeholders(self, owned_by: str) -> dict[str, str]:
        """What the templates may name."""
        words, one = self.plural.replace("_", " "), self.singular.replace("_", " ")
        return {
            "plural": self.plural,
            "singular": self.singular,
            "Model": self.model,
            "Models": self.models,
            "app_label": self.plural,
            "model_name": self.model.lower(),
            "slug": self.slug,
            "singular_slug": self.singular.replace("_", "-"),
            "prefix": self.prefix,
            "plural_words": words,
            "Plural_words": words.capitalize(),
            "singular_words": one,
            "a_singular": f"{'an' if one[0] in 'aeio' else 'a'} {one}",
            "owned_by": owned_by,
        }


def module_names(name: str, singular: str = "") -> ModuleNames:
    """Raises ``ModuleRefused`` for what is no plural noun in lower case, with a sentence that says what would be."""
    _require_form(name)
    if not singular:
        singular = inflection.singularize(name)
        if (plural := inflection.pluralize(name)) != name and inflection.pluralize(singular) != name:
            raise ModuleRefused(f"`{name}` is no plural: use `{plural}`, or say what one is called with --singular.")
    _require_form(singular)
    if singular == name:
        raise ModuleRefused(f"`{name}` has no singular of its own: choose another name, or give one with --singular.")
    for word in (name, singular):
        _require_free_word(word)
    return ModuleNames(name, singular)


def _require_form(name: str) -> None:
    if not _FORM.fullmatch(name):
        raise ModuleRefused(
            f"{name[:60]!r} is no module name: use lower-case ASCII letters, digits and single underscores, "
            "a letter first, such as `support_tickets`."
        )
    if len(name) > MAX_LENGTH:
        raise ModuleRefused(f"`{name[:60]}` is too long: {MAX_LENGTH} characters are the most.")


def _require_free_word(word: str) -> None:
    if keyword.iskeyword(word) or keyword.issoftkeyword(word) or hasattr(builtins, word):
        raise ModuleRefused(f"`{word}` is a word of Python: choose a more particular name, such as `customer_{word}`.")
    if word in SAY_NOTHING or inflection.pluralize(word) in SAY_NOTHING:
        raise ModuleRefused(f"`{word}` says nothing about what is in the module: name it after its objects.")
