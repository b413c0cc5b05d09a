"""DynamoDB: client, key schema, capacity, PartiQL."""
