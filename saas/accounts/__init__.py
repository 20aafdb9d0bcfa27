"""Who people are and how they log in. Customers and staff are rows of one ``User`` table, never both at once.

actions.py              register a customer, change a profile
sessions/               log in and out, session cookie, access and refresh tokens, signing keys, known devices
passwords/              hashing, rules, change and reset, throttling of guesses
second_factor.py        TOTP and recovery codes; reauthentication.py: the password again before a delicate operation
oauth/                  log in with OpenID Connect or GitHub, link and unlink identities
email_verification.py   mailed links that verify or change an address; one_time_tokens.py: their tokens
account_handover.py     an unconfirmed account goes to the person who proves its mailbox
privacy/                register of personal data, export, deletion, erasure; personal_data.py: what accounts register
staff/                  roles and permissions, bans and other staff actions, impersonation
retention.py, tasks.py  what is deleted when, and the periodic tasks
"""
