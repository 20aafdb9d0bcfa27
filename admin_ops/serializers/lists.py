"""The fields of every paginated list."""

from typing import Any

from rest_framework import serializers


class PageShape(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Exact to 10,000.")
    count_is_exact = serializers.BooleanField(required=False, help_text="Stands here only when it is false.")
    next = serializers.CharField(allow_null=True, help_text="Cursor of the next page.")
