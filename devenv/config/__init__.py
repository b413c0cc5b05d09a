"""devenv.toml: schema, loading, masking; the environment that processes get."""
