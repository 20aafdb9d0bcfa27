"""Running the tests that protect tenants, permissions, personal data and the schema, and testing those tests."""
