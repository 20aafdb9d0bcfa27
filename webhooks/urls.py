"""The Webhooks API, port 8003: read it as the API reference."""

from django.urls import path

from saas.api.pages.start import start_page
from saas.api.service_urls import common_urls, handler400, handler403, handler404, handler500
from webhooks import views
from webhooks.intake.view import StripeView
from webhooks.modules import MODULES

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

_ABOUT = "Events from the payment provider: taken in, acted on, replayed."

urlpatterns = [
    path("", start_page("Webhooks API", _ABOUT), name="start"),
    *common_urls("Webhooks API", _ABOUT, MODULES),
    # The provider
    path("api/webhooks/stripe", StripeView.as_view(), name="stripe"),
    # Operators
    path("api/webhooks/logs", views.LogsView.as_view(), name="logs"),
    path("api/webhooks/logs/<str:event_id>", views.LogView.as_view(), name="log"),
    path("api/webhooks/replay", views.BulkReplaysView.as_view(), name="replay-many"),
    path("api/webhooks/replay/<str:event_id>", views.ReplayView.as_view(), name="replay"),
    path(
        "api/webhooks/replay/<str:batch_id>/cancel",
        views.DeprecatedCancelView.as_view(),
        name="replay-cancel-deprecated",
    ),
    path("api/webhooks/replays/<str:batch_id>", views.BulkReplayView.as_view(), name="bulk-replay"),
    path("api/webhooks/replays/<str:batch_id>/cancel", views.CancelBulkReplayView.as_view(), name="bulk-replay-cancel"),
    path("api/webhooks/stats", views.StatsView.as_view(), name="stats"),
]
