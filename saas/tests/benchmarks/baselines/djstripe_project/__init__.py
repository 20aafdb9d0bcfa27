"""dj-stripe in a project of its own, on the benchmark environment's PostgreSQL. It runs without our packages."""
