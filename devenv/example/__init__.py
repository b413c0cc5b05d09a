"""The reference application: messaging over Postgres and DynamoDB."""
