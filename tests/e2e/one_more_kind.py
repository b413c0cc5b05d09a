"""devenv with one more kind of service (`more_kinds/notebook.py`): `python -m tests.e2e.one_more_kind COMMAND…`."""

from __future__ import annotations

from pathlib import Path

import devenv.engines.kinds
from devenv.config import kinds

if __name__ == "__main__":
    # The line of the kind, and a file beside those of the others.
    kinds.KINDS = (*kinds.KINDS, kinds.KindKeys("notebook", kinds.STORE_KEYS, port=7177))
    devenv.engines.kinds.__path__.append(str(Path(__file__).with_name("more_kinds")))
    from devenv.cli.app import entry

    entry()
