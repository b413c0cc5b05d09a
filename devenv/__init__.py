"""devenv: Postgres and DynamoDB Local, loaded in order, compared, and traced layer by layer."""

__version__ = "0.2.0"
