"""`devenv snapshot save|restore|delete|list|export|import`: what each does, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from devenv.core.errors import Exit, StoreError
from devenv.core.events import Watch
from devenv.core.model import POSTGRES, Report
from devenv.engines.ends import ends_reported
from devenv.engines.kinds.registry import EMPTIED, transient
from devenv.snapshots.cleanup import delete, drop_strays, prune, recover
from devenv.snapshots.item_backup import read_cluster
from devenv.snapshots.manifest import DUMP, Manifest, plain, read_all
from devenv.snapshots.restore import restore
from devenv.snapshots.save import save
from devenv.stack import Stack


def report(stack: Stack, body: Mapping[str, object]) -> Report:
    """A report of `devenv snapshot`."""
    return Report("snapshot", stack.settings.project.name, Exit.DONE, body)


def show_all(stack: Stack) -> Report:
    """`snapshot list`."""
    # Without an answer it is not known, and a restore tells.
    cluster = read_cluster(stack) if stack.engine.files or stack.engine.runs(POSTGRES) else None
    unknown = cluster is None and not stack.engine.files
    manifests = read_all(stack.engine.home)
    names = read_databases(stack) if any(manifest.form == "database" for manifest in manifests) else None

    def is_usable(manifest: Manifest) -> bool:
        if manifest.form == "files" or DUMP in manifest.checksums or unknown:
            return True
        return manifest.cluster == cluster and (names is None or manifest.database in names)

    found = [{**plain(manifest), "usable": is_usable(manifest)} for manifest in manifests]
    return report(stack, {"snapshots": found})


def read_databases(stack: Stack) -> set[str] | None:
    """The names of the server's databases; None when it does not run, or does not answer."""
    from devenv.stores.postgres import client as store

    if not stack.engine.runs(POSTGRES):
        return None
    try:
        with store.connect(stack.engine.targets().postgres, database="postgres", read_only=True) as connection:
            return {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database")}
    except StoreError:
        return None


def run(stack: Stack, task: Literal["save", "restore", "delete"], name: str, watch: Watch) -> Report:
    """`snapshot save|restore|delete NAME`, under the project's lock."""
    stack.engine.permit(None)
    recover(stack, watch)
    if task == "save":
        with ends_reported(stack.engine, watch.say):
            saved = save(stack, name, watch)
        return report(stack, {"saved": plain(saved)})
    if task == "delete":
        return report(stack, {"deleted": plain(delete(stack, name))})
    with ends_reported(stack.engine, watch.say):
        manifest, kept = restore(stack, name, watch)
    for own in transient(stack.engine):
        watch.say(EMPTIED.format(name=own.name))
    gone = prune(stack, needed=name)
    if manifest.form == "files" and stack.engine.runs(POSTGRES):
        drop_strays(stack)
    restart = stack.engine.runs("backend") and stack.engine.settings_changed(stack.environment())
    body = {
        "restored": plain(manifest),
        "kept": kept.name if kept else None,
        "pruned": gone,
        "restart_backend": restart,
    }
    return report(stack, body)
