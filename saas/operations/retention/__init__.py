"""How long rows are kept. Each app says so for its tables in its ``retention.py``: a test finds a table without a rule.

delete_when(OAuthState, is_past("expires_at"))
delete_with(Profile, "user")
keep(Invoice, reason="Accounts are kept for as long as the law wants.")
"""

from datetime import timedelta

from saas.operations.models import (
    Counter,
    Heartbeat,
    ProcessSecrets,
    RetentionProgress,
    ScheduledTask,
    SignedSecret,
    WorkerProcess,
)
from saas.operations.retention.rules import delete_when, is_past, keep

FORGOTTEN = timedelta(days=1)  # of a process that ended without a word; workers delete such rows sooner

delete_when(Counter, is_past("expires_at"))
delete_when(WorkerProcess, is_past("seen_at", FORGOTTEN))
delete_when(ProcessSecrets, is_past("seen_at", FORGOTTEN))
keep(Heartbeat, reason="One row for the workers and one for beat.")
keep(ScheduledTask, reason="One row for each entry of the schedule.")
keep(SignedSecret, reason="One row for each value that a secret ever had: a rotation asks when it signed last.")
keep(RetentionProgress, reason="One row for each table that rows are deleted from.")
