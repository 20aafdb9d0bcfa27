"""Plain pages for people who follow a link in a mail, where no front end of its own is set (``FRONTEND_BASE_URL``).

A page is HTML and one script, ``product/pages.js``, which fills the link's secret into the form and sends it to the API as
any other client would: a page has no rules of its own. The secret stands in the fragment, so no server and no log sees it.
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
