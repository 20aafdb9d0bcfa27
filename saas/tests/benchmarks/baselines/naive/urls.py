import json
import time

from django.db import transaction
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from saas.tests.benchmarks.baselines.naive.models import NaiveEvent
from saas.tests.benchmarks.baselines.naive.tasks import process
from saas.tests.benchmarks.deliveries import SECRET
from saas.webhook_events.signatures import verify


class StripeView(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request):
        body = request.body
        verify(request.headers["Stripe-Signature"], body, secrets=[SECRET], tolerance_seconds=300, now=time.time())
        event = json.loads(body)
        with transaction.atomic():
            row, is_new = NaiveEvent.objects.get_or_create(
                event_id=event["id"], defaults={"type": event["type"], "payload": event}
            )
            if is_new:
                transaction.on_commit(lambda: process.delay(row.pk))
        return Response({"status": "accepted" if is_new else "duplicate", "event_id": row.event_id}, status=202)


urlpatterns = [path("api/webhooks/stripe", StripeView.as_view())]
