"""The local provider's background tasks, registered and scheduled only where it is chosen (``CELERY_IMPORTS``).

Their names say ``saas.billing.tasks``, where they were before: messages in flight keep their task.
"""

from celery import shared_task

from saas.billing.providers.local import event_delivery, test_clock


@shared_task(name="saas.billing.tasks.turn_local_clock")
def turn_local_clock() -> None:
    """Run the renewals and ends that are due, and deliver the events that wait."""
    test_clock.run_due_steps()
    event_delivery.deliver_events()


@shared_task(name="saas.billing.tasks.deliver_local_events")
def deliver_local_events(customer_id: str) -> None:
    """Deliver every event that waits. The provider's pages send this task for the customer who used them."""
    event_delivery.deliver_events()
