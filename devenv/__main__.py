"""`python -m devenv`."""

from devenv.cli import entry

entry()
