"""dj-stripe in a project of its own, on the stage's PostgreSQL. It runs without our packages."""
