"""A large business, made by the database itself: people, sessions, subscriptions and their ledger. PostgreSQL only.

A fifth of the people were here in the last month. Each subscription begins in one of 36 months and renews every month; a
third moves up, a sixth later down, two fifths end, and a tenth of those come back with another subscription.
"""

from django.db import connection

PEOPLE = """
INSERT INTO accounts_user (password, is_superuser, id, email, email_canonical, email_verified_at, full_name, locale,
                           status, status_reason, is_staff, token_epoch, created_at, updated_at)
SELECT '!', false, 'usr_' || lpad(n::text, 26, '0'), n || '@example.net', n || '@example.net',
       CASE WHEN n % 5 > 0 THEN now() END, 'Kim ' || n, 'en',
       CASE WHEN n % 50 = 0 THEN 'disabled' WHEN n % 50 = 1 AND n > %(subscriptions)s THEN 'deleted' ELSE 'active' END,
       '', false, 0, now() - (n % 1000) * interval '1 day' - (n % 86399) * interval '1 second', now()
FROM generate_series(1, %(people)s) n
"""
SESSIONS = """
INSERT INTO accounts_loginsession (session_data, expire_date, session_key, sid, audience, epoch, methods, address, agent,
                                   created_at, authenticated_at, last_seen_at, ends_at, user_id)
SELECT '', now() + interval '30 days', 'key_' || n, 'ses_' || lpad(n::text, 26, '0'), 'saas', 0, 'password', '', '',
       now(), now(), now() - (n / 5 %% 30) * interval '1 day' - interval '1 minute', now() + interval '30 days',
       'usr_' || lpad(n::text, 26, '0')
FROM generate_series(5, %(people)s, 5) n
"""
CUSTOMERS = """
INSERT INTO billing_customer (id, provider, external_id, email, delinquent, default_payment_method, created_at, user_id)
SELECT 'cst_' || lpad(n::text, 26, '0'), 'stripe', 'cus_' || n, n || '@example.net', false, '', now(),
       CASE WHEN n % 100 > 0 THEN 'usr_' || lpad(n::text, 26, '0') END
FROM generate_series(1, %(subscriptions)s) n
"""
# One row for each change: n the customer, s its subscription, p the place, m the months since 35 months ago.
CHANGES = """
CREATE TEMPORARY TABLE changes AS
WITH began AS (SELECT n, (n * 7919) % 36 AS b FROM generate_series(1, %(subscriptions)s) n),
     steps AS (
       SELECT n, 1 AS s, b, b AS m, 'new' AS kind, 'new' AS movement, 1900 AS delta FROM began
       UNION ALL SELECT n, 1, b, b + r, 'renewal', '', 0 FROM began, generate_series(1, 12) r
       UNION ALL SELECT n, 1, b, b + 3, 'upgrade', 'expansion', 6000 FROM began WHERE n % 3 = 0
       UNION ALL SELECT n, 1, b, b + 6, 'downgrade', 'contraction', -6000 FROM began WHERE n % 6 = 0
       UNION ALL SELECT n, 1, b, b + 13, 'canceled', 'churn', CASE WHEN n % 6 = 3 THEN -7900 ELSE -1900 END
                 FROM began WHERE n % 5 < 2
       UNION ALL SELECT n, 2, b, b + 15, 'reactivated', 'reactivation', 1900 FROM began WHERE n % 50 = 0)
SELECT n, s, b, m, kind, movement, delta,
       row_number() OVER (PARTITION BY n, s ORDER BY m, delta DESC) - 1 AS p,
       sum(delta) OVER (PARTITION BY n, s ORDER BY m, delta DESC) AS after,
       sum(delta) OVER (PARTITION BY n ORDER BY s, m, delta DESC) AS customer_after,
       row_number() OVER (PARTITION BY n ORDER BY s, m, delta DESC) - 1 AS place
FROM steps WHERE m <= 35
"""
SUBSCRIPTIONS = """
INSERT INTO billing_subscription (id, external_id, status, price_id, item_id, quantity, currency, monthly_cents,
                                  cancel_at_period_end, ambiguous, started_at, changed_at, customer_id, plan_id)
SELECT DISTINCT ON (n, s) 'sub_' || s || lpad(n::text, 25, '0'), 'sub_' || s || '_' || n,
       CASE WHEN after = 0 THEN 'canceled' WHEN n % 20 = 7 THEN 'past_due' ELSE 'active' END, 'price_1', '', 1,
       CASE WHEN n % 10 = 9 THEN 'eur' ELSE 'usd' END, after, false, false, now(), now(),
       'cst_' || lpad(n::text, 26, '0'), CASE WHEN after = 7900 THEN 'growth' ELSE 'starter' END
FROM changes ORDER BY n, s, p DESC
"""
LEDGER = """
INSERT INTO billing_ledgerentry (subscription_id, number, customer_id, is_linked, kind, movement, at, month, cohort,
                                 currency, delta_cents, monthly_cents, customer_cents, customer_number, paid_before,
                                 event_id)
SELECT 'sub_' || s || lpad(n::text, 25, '0'), p, 'cst_' || lpad(n::text, 26, '0'), n % 100 > 0, kind, movement,
       first + (n % 20) * interval '1 day', first,
       (date_trunc('month', now()) - interval '35 months' + b * interval '1 month')::date,
       CASE WHEN n % 10 = 9 THEN 'eur' ELSE 'usd' END, delta, after, customer_after, place, customer_after > delta,
       'evt_' || n || '_' || s || '_' || p
FROM (SELECT *, (date_trunc('month', now()) - interval '35 months' + m * interval '1 month')::date AS first FROM changes) dated
"""


def fill(*, people: int, subscriptions: int) -> None:
    """Write the rows. The tables of people and billing must be empty, but for the plans."""
    with connection.cursor() as cursor:
        for statement in (PEOPLE, SESSIONS, CUSTOMERS, CHANGES, SUBSCRIPTIONS, LEDGER):
            cursor.execute(numbered(statement), {"people": people, "subscriptions": subscriptions})
        cursor.execute("DROP TABLE changes")


def settle() -> None:
    """Vacuum and analyze as autovacuum does after a while: statistics, and all-visible pages."""
    with connection.cursor() as cursor:
        for table in ("accounts_user", "accounts_loginsession", "billing_customer", "billing_subscription"):
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("VACUUM ANALYZE billing_ledgerentry")


def numbered(statement: str) -> str:
    """A lone percent sign is SQL's, not a placeholder."""
    return statement.replace("%%", "%").replace("%", "%%").replace("%%(", "%(")
