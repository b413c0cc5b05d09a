"""AWS policies as files."""
