"""`python -m devenv`."""

from devenv.cli.app import entry

entry()
