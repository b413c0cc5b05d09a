"""`make faults`: every fault, every pair, every control, and the figures. `--only WORD`: those with WORD in them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.trace.bench import Bench
from tests.faults.trace.breaks import Fault
from tests.faults.trace.catalog import FAULTS
from tests.faults.trace.controls import CONTROLS
from tests.faults.trace.figures import Case, confusion, figures, share_text
from tests.faults.trace.more import PAIRS, UNSEEN
from tests.faults.trace.suite import run_control, run_fault, run_pair


def main() -> int:
    """Run what was asked for, and print."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--only", default="", help="a part of the name")
    only = parser.parse_args().only
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="devenv-faults-") as folder:
        bench = Bench.open(Path(folder) / "project")
        try:
            listed = run_all(bench, [fault for fault in FAULTS if only in fault.name])
            unseen = run_all(bench, [fault for fault in UNSEEN if only in fault.name])
            both = [run_pair(bench, *pair) for pair in PAIRS if only in f"{pair[0].name} + {pair[1].name}"]
            alarms = {control.name: run_control(bench, control) for control in CONTROLS if only in control.name}
        finally:
            bench.close()
    show("faults that are collected in the issue", listed)
    show("faults that no collection lists", unseen)
    say("pairs", f"both named:   {share_text(sum(both), len(both))}")
    false = [f"  {name}: {said}" for name, said in alarms.items() if said is not None]
    say("healthy controls", f"false alarms: {share_text(len(false), len(alarms))}", *false)
    say(f"{time.monotonic() - began:.0f} s")
    wrong = [case for case in (*listed, *unseen) if case.counted and case.layer != case.said_layer]
    return 1 if wrong or false else 0


def run_all(bench: Bench, faults: list[Fault]) -> list[Case]:
    """Every fault, one at a time."""
    cases = []
    for fault in faults:
        cases.append(run_fault(bench, fault))
        sys.stderr.write(f"\r{len(cases)} of {len(faults)}  {fault.name:<50}")
    sys.stderr.write("\n")
    return cases


def show(title: str, cases: list[Case]) -> None:
    """The figures of one group, with its confusion table."""
    if cases:
        say(title, *figures(cases), *confusion(cases))


def say(*lines: str) -> None:
    """Lines, and an empty one."""
    print("\n".join(lines), end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
