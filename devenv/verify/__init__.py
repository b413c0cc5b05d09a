"""`devenv verify` and `devenv repair`: whole id sets of both stores, compared."""
