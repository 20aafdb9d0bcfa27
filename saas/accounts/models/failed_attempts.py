"""Failed logins, counted for the login throttle."""

from django.db import models


class FailedAttempts(models.Model):
    """Failed attempts at one secret of one account since the last right one. The next is refused before ``free_from``."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)
    free_from = models.DateTimeField()
