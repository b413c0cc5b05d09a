"""`devenv db` and `devenv ddb`."""
