"""Clients of the stores: Postgres, DynamoDB, Redis."""
