"""Postgres: client and catalog."""
