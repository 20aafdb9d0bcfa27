"""Plain pages behind mailed links, used where no front end is set (``FRONTEND_BASE_URL``).

A page is HTML and one script, ``product/pages.js``, which puts the link's secret into the form and sends it to the API as
any client does: a page has no rules. The secret is in the URL's fragment, which reaches no server and no log.
"""

from typing import ClassVar

from django.http import HttpResponse
from django.template.loader import render_to_string
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer, StaticHTMLRenderer
from rest_framework.request import Request

from saas.api.views import PublicView


class PageView(PublicView):
    renderer_classes = (StaticHTMLRenderer, JSONRenderer)
    template: ClassVar[str] = ""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(render_to_string(self.template))
