"""`make faults`: every fault, every pair, every control, and the figures.

`ARGS="--only WORD"`: those with WORD in them. `ARGS="--group blind,lookups"`: only these groups. A line for each fault
says whether layer and class are right, and whether the verdict names the object of the fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.trace.answers import ANSWERS
from tests.faults.trace.bench import Bench
from tests.faults.trace.blind import BLIND
from tests.faults.trace.blind_more import BLIND_MISSED, BLIND_MORE, BLIND_TAPPED
from tests.faults.trace.breaks import Fault
from tests.faults.trace.catalog import FAULTS
from tests.faults.trace.controls import CONTROLS
from tests.faults.trace.figures import Case, confusion, figures, share_text, table
from tests.faults.trace.lookups import LOOKUPS
from tests.faults.trace.more import PAIRS, UNSEEN
from tests.faults.trace.objects import OBJECTS
from tests.faults.trace.running import RUNNING
from tests.faults.trace.suite import run_control, run_fault, run_pair
from tests.faults.trace.writer import beside_a_writer

GROUPS = {
    "listed": ("faults that are collected in the issue", FAULTS),
    "unseen": ("faults that no collection lists", UNSEEN),
    "answers": ("faults of answers and pages", ANSWERS),
    "lookups": ("faults of the lookup of the user", LOOKUPS),
    "running": ("faults of the running process", RUNNING),
    "objects": ("faults whose object is hard to name", OBJECTS),
    "blind": ("faults written without knowledge of the code", (*BLIND, *BLIND_MORE, *BLIND_MISSED)),
    "tapped": ("faults that name their object with --tap only", BLIND_TAPPED),
}


def main() -> int:
    """Run what was asked for, and print."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--group", default="", help=f"of: {', '.join((*GROUPS, 'pairs', 'controls'))}")
    parser.add_argument("--writer", type=int, default=0, metavar="TRACES", help="only this: traces beside a writer")
    parser.add_argument("--tap", action="store_true", help="with a tapped application")
    parser.add_argument("--seconds", type=float, default=4, help="for the function and the API; more on a busy machine")
    arguments = parser.parse_args()
    only, wanted = arguments.only, arguments.group.split(",") if arguments.group else [*GROUPS, "pairs", "controls"]
    if unknown := set(wanted) - {*GROUPS, "pairs", "controls"}:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="devenv-faults-") as folder:
        bench = Bench.open(Path(folder) / "project", *(["--tap"] if arguments.tap else []), seconds=arguments.seconds)
        try:
            if arguments.writer:
                beside = beside_a_writer(bench, arguments.writer)
                say(str(beside), *map(str, beside.alarms))
                return 1 if beside.alarms else 0
            cases = {
                name: run_all(bench, [fault for fault in faults if only in fault.name])
                for name, (_, faults) in GROUPS.items()
                if name in wanted and (arguments.tap or name != "tapped")
            }
            pairs = PAIRS if "pairs" in wanted else ()
            both = [run_pair(bench, *pair) for pair in pairs if only in f"{pair[0].name} + {pair[1].name}"]
            controls = CONTROLS if "controls" in wanted else ()
            alarms = {control.name: run_control(bench, control) for control in controls if only in control.name}
        finally:
            bench.close()
    for name, found in cases.items():
        show(GROUPS[name][0], found)
    further = [case for name, found in cases.items() if name not in ("listed", "unseen") for case in found]
    if len(cases) > 1:
        show("all of them but the first two groups", further, lines=False)
    if both:
        say("pairs", f"both named:   {share_text(sum(both), len(both))}")
    false = [f"  {name}: {said}" for name, said in alarms.items() if said is not None]
    if alarms:
        say("healthy controls", f"false alarms: {share_text(len(false), len(alarms))}", *false)
    say(f"{time.monotonic() - began:.0f} s")
    wrong = [case for found in cases.values() for case in found if case.counted and case.layer != case.said_layer]
    return 1 if wrong or false else 0


def run_all(bench: Bench, faults: list[Fault]) -> list[Case]:
    """Every fault, one at a time."""
    cases = []
    for fault in faults:
        cases.append(run_fault(bench, fault))
        sys.stderr.write(f"\r{len(cases)} of {len(faults)}  {fault.name:<50}")
    sys.stderr.write("\n")
    return cases


def show(title: str, cases: list[Case], lines: bool = True) -> None:
    """The figures of one group, with its confusion table and a line for each fault."""
    if cases:
        say(title, *figures(cases), *confusion(cases), *(table(cases) if lines else ()))


def say(*lines: str) -> None:
    """Lines, and an empty one."""
    print("\n".join(lines), end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
