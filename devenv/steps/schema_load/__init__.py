"""Step `schema-load`: tables and indexes of DynamoDB."""
