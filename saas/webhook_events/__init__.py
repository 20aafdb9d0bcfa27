"""The inbox of the payment provider's events: stored once, processed at least once, in any order.

How an event moves:

1. ``actions`` verifies a delivery (``signatures``), reads it (``envelope``) and stores it (``event_storage``).
2. ``tasks`` notifies a worker, or finds what no message announced.
3. ``processing`` claims due events (``claims``) and runs their handlers (``event_worker``, many at once in ``batches``);
   ``retry_policy`` says when a failed one is tried again.
4. ``dispatch`` knows which functions handle which event types; other apps register theirs with its decorators.

Besides: ``replays`` (process again), ``retention`` (delete), ``monitoring`` and ``metrics`` (statistics, latency, alerts).
The row is the queue (``models``; decision 1). saas/docs/webhooks.md describes all of it.
"""
