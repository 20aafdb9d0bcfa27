"""The brand of the product on pages and in mails."""
