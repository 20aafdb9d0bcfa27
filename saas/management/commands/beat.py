from saas.management.celery_command import CeleryCommand


class Command(CeleryCommand):
    help = "Start what is scheduled: Celery's beat, with all of its options."
    program = "beat"
