"""The pages for people: whether there are any, the brand on them, and their languages."""

import re

from saas import env

FRONT_PAGES = env.boolean(
    "FRONT_PAGES",
    default=True,
    help="`off` where an app of your own, at `FRONTEND_BASE_URL`, has the pages that customers use.",
)
BRAND_NAME = env.text("BRAND_NAME", default="SaaS", help="What the product is called on pages.")
BRAND_LOGO = env.text(
    "BRAND_LOGO", help="Address of a picture, `https://…` or `/static/…`. Empty: the first letter of the name."
)
BRAND_COLOUR = env.text(
    "BRAND_COLOUR", default="#2347c5", help="Colour of buttons and links, such as `#2347c5`; contrast is seen to."
)
if not re.fullmatch(r"#[0-9a-fA-F]{6}", BRAND_COLOUR):
    env.note_fault("BRAND_COLOUR must be # and six hexadecimal digits, such as #2347c5.")
    BRAND_COLOUR = "#2347c5"
if BRAND_LOGO and not re.fullmatch(r"(https://[^\s\"';,/]+)?/[^\s\"';,]*", BRAND_LOGO):
    env.note_fault("BRAND_LOGO must be an address that starts with https:// or /, without blanks and quotes.")
    BRAND_LOGO = ""

LANGUAGES = [("en", "English"), ("de", "Deutsch")]
