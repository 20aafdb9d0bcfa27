"""The sidebar, with only the pages that the permissions allow, and the badge of the environment."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from admin_ops.admin.menu import MONEY, SECTIONS, TEAMS
from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.site import admin_site
from saas.accounts.staff.staff_roles import StaffPermission


def _tables_of_added_modules() -> list[tuple[str, str, str, StaffPermission | None]]:
    return [
        (
            str(model._meta.verbose_name_plural).capitalize(),
            "category",
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
            getattr(admin_site.get_model_admin(model), "needs", None),
        )
        for module in settings.MODULES
        for model in apps.get_app_config(module).get_models()
        if admin_site.is_registered(model)
    ]


def sidebar_sections(request: HttpRequest) -> list[dict[str, Any]]:
    held = request_permissions(request)
    found = [
        {
            "title": title,
            "separator": bool(title),
            "items": [
                {"title": name, "icon": icon, "link": reverse(page)}
                for name, icon, page, needs in pages
                if (needs is None or needs in held) and (name != TEAMS or settings.TEAMS)
            ],
        }
        for title, pages in [*SECTIONS, ("Modules", _tables_of_added_modules())]
        if title != MONEY or settings.BILLING
    ]
    return [section for section in found if section["items"]]


def environment(request: HttpRequest) -> list[str]:
    """The badge in the corner, red in production."""
    return [settings.SAAS_ENV, "danger" if settings.PRODUCTION else "info"]
