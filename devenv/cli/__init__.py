"""Commands: global options, one file for each command group."""
