"""`devenv init`: a devenv.toml fitted to a folder."""
