"""Make a Python script report its requests to the stores. Python runs this file because devenv put it on PYTHONPATH.

Not a part of devenv's process: it runs in the project's interpreter, so it may import nothing but the standard library
and `runner.py` beside it, by its path. It tells on the file descriptor that DEVENV_TELL names, if it is open.
"""

import importlib.machinery
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def watch(descriptor: str) -> None:
    """Tell from now on every request to a store."""
    try:
        number = int(descriptor)
        os.fstat(number)
    except (OSError, ValueError):
        return
    spec = importlib.util.spec_from_file_location("_devenv_runner", os.path.join(os.path.dirname(HERE), "runner.py"))
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.TELLER.open(number)
    module.TELLER.tell(event="watching")
    sys.meta_path.insert(0, module.Hooks(dict(module.HOOKS)))


def run_shadowed() -> None:
    """Run the sitecustomize that would have been run without this one."""
    others = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


run_shadowed()
watch(os.environ.get("DEVENV_TELL", ""))
