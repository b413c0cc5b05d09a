"""Commands: global options, one file for each command group."""

# Built in, as `signal` is not: it costs nothing.
import _signal as signal  # type: ignore[import-not-found]
import gc
import sys

# Importing makes many objects and no garbage: collecting meanwhile takes a tenth of a short command. It stands here, as
# this file is the first that a command imports.
gc.set_threshold(200_000)

# Ctrl-C while the rest is imported ends the command without a traceback; `main` sets Python's own handler again. Not in
# a program of somebody else's that imports this.
IS_COMMAND = sys.argv[:1] != [] and sys.argv[0].replace("\\", "/").rpartition("/")[2] in ("devenv", "__main__.py")
if IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
