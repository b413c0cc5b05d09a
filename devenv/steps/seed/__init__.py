"""Step `seed`: items of DynamoDB, with ids from the rows of Postgres."""
