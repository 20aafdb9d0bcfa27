from saas.management.celery_command import CeleryCommand


class Command(CeleryCommand):
    help = "Process events and send mails: Celery's worker, with all of its options."
    program = "worker"
