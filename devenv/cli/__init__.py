"""Commands: global options, one file for each command group."""

import gc

# Importing makes many objects and no garbage: collecting meanwhile takes a tenth of a short command. It stands here, as
# this file is the first that a command imports.
gc.set_threshold(200_000)
