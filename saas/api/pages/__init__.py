"""HTML for people, in one look for all services: the base template's context, forms, refusals and errors."""
