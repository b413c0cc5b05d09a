"""Step `setup`: database, schema and rows of Postgres."""
