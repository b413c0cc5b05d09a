"""`devenv trace`: one request through every layer."""
