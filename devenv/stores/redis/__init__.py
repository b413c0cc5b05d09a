"""The client of Redis and Valkey."""
