"""How the inbox lies on the disk."""

import pytest
from django.db import connection

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def test_payloads_are_compressed_with_lz4_where_the_server_has_it():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        [has_lz4] = cursor.fetchone()
        cursor.execute(
            "SELECT attcompression FROM pg_attribute"
            " WHERE attrelid = 'webhook_events_webhookpayload'::regclass AND attname = 'body'"
        )
        [method] = cursor.fetchone()

    assert (method == "l") is has_lz4
