"""What every table of the desk shares: it is shown to whom the table of rights says, and changed by nobody."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from admin_ops.admin.rights import permissions_in
from saas.accounts.staff_roles import Permission

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = ModelAdmin


class DeskAdmin(_ModelAdmin):
    """``fields`` names what the page of a row shows: a column that is added later is not shown by accident."""

    needs: ClassVar[Permission]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_fullwidth = True
    empty_value_display = "–"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.needs in permissions_in(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only the filters that the page offers: Django allows any column of the table, a password's hash included."""
        return lookup.split("__")[0] in {str(name) for name in self.list_filter}
