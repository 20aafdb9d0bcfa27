"""The base of every table: shown by the permissions of staff roles, and read-only."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from admin_ops.admin.fresh_reads import has_just_changed
from admin_ops.admin.menu import menu_name
from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.record_facts import RecordFacts
from saas import request_context, text_normalization
from saas.accounts.staff.staff_roles import StaffPermission

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = ModelAdmin

MAX_SEARCH_WORDS = 20


class ReadOnlyModelAdmin(_ModelAdmin):
    """``fields`` lists what the page of a row shows, so that a later column is not shown by accident."""

    needs: ClassVar[StaffPermission]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_fullwidth = True
    empty_value_display = "–"
    change_form_template = "admin_ops/record.html"
    empty_text = "There is nothing here yet."  # of a list without rows: what would stand here, and when

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.needs in request_permissions(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def heading(self, row: Any) -> str:
        """Of the row's page."""
        return str(row)

    def sentence_of(self, row: Any) -> str:
        """What the row says, under the heading of its page."""
        return ""

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = context["original"]
        badges = [getattr(self, name)(row) for name in ("state", "stage") if hasattr(self, name)]
        shown = {"title": self.heading(row), "sentence": self.sentence_of(row), "badge": next(iter(badges), "")}
        context = {"facts": RecordFacts(context["adminform"]), **context, **shown, **self.page_of(request, row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def page_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the template of the row's page shows beside."""
        return {}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only the filters that the page offers, by their whole names.

        Django would allow any column of the table, and of every related table behind a filter: a password's hash could be
        found letter by letter.
        """
        allowed: set[str] = set()
        for name in self.list_filter:
            if isinstance(name, type) and issubclass(name, admin.SimpleListFilter):
                allowed.add(str(name.parameter_name))
                continue
            name = str(name)
            field = self.opts.get_field(name)
            target = f"{name}__{field.target_field.name}" if isinstance(field, ForeignKey) else name
            allowed |= {target, f"{target}__exact", f"{name}__isnull"}
        return lookup in allowed

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Titled as the menu calls it."""
        if request.method == "GET" and self.has_view_permission(request) and not has_just_changed(request):
            request_context.allow_old_reads()
        name = (
            menu_name(f"{self.opts.app_label}_{self.opts.model_name}")
            or str(self.opts.verbose_name_plural).capitalize()
        )
        return super().changelist_view(request, {"title": name, **(extra_context or {})})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """In every Unicode normal form, by the first words: SQLite takes no condition of a thousand parts."""
        search_term = " ".join(search_term.split()[:MAX_SEARCH_WORDS])
        rows, may_repeat = super().get_search_results(request, queryset, search_term)
        for form in text_normalization.search_variants(search_term):
            if form != search_term:
                rows |= super().get_search_results(request, queryset, form)[0]
        return rows, may_repeat

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Rows are found by their primary key only."""
        return to_field == self.opts.pk.name
