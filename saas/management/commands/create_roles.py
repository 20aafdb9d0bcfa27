import os
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import connection
from psycopg import sql

from saas.audit.models import AuditEvent, AuditSeal

APPEND_ONLY_TABLES = (AuditEvent._meta.db_table, AuditSeal._meta.db_table)
PASSWORD = "RUNTIME_ROLE_PASSWORD"


class Command(BaseCommand):
    help = (
        "Create the PostgreSQL role of the services: it owns nothing, and can only insert into the audit trail. "
        "Run it as the owner, after every migrate; it may be repeated."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--runtime", default="saas_runtime", help="Name of the role. Default: saas_runtime.")

    def handle(self, *, runtime: str, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL has roles: set DATABASE_URL to the owner's address.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_database(), current_schema()")
            owner, database, schema = cursor.fetchone()
            if schema is None:
                raise CommandError("The schema that search_path names is not there: make it, and migrate.")
            if owner == runtime:
                raise CommandError(f"{runtime} is the role that you are. Run this as the owner of the tables.")
            self._create(cursor, runtime)
            names = {"owner": owner, "runtime": runtime, "database": database, "schema": schema}
            quoted = {placeholder: sql.Identifier(name) for placeholder, name in names.items()}
            only_grow = sql.SQL(", ").join(sql.Identifier(table) for table in APPEND_ONLY_TABLES)
            for statement in _STATEMENTS:
                cursor.execute(sql.SQL(statement).format(**quoted, only_grow=only_grow))
        self.stdout.write(
            f"{runtime} may read and write, owns nothing, and can only add to {', '.join(APPEND_ONLY_TABLES)}."
        )

    def _create(self, cursor: Any, runtime: str) -> None:
        cursor.execute("SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = %s", [runtime])
        found = cursor.fetchone()
        if found and found[0]:
            raise CommandError(f"{runtime} is there, and may do more than a service should.")
        if not found:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(runtime)))
        if password := os.environ.get(PASSWORD, ""):
            cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(runtime), sql.Literal(password)))


_STATEMENTS = (
    "GRANT CONNECT ON DATABASE {database} TO {runtime}",
    "REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
    "DO $$ BEGIN IF to_regnamespace('public') IS NOT NULL THEN REVOKE CREATE ON SCHEMA public FROM PUBLIC; END IF; END $$",
    "GRANT USAGE ON SCHEMA {schema} TO {runtime}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {runtime}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {runtime}",
    # Tables of the next migration are accessible before this command is run again.
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {runtime}",
    "REVOKE UPDATE, DELETE, TRUNCATE ON {only_grow} FROM {runtime}",
    "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {runtime}",
)
