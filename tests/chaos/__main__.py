"""One trial: `python -m tests.chaos --seed 7 --minutes 30`.

Starts a PostgreSQL with fsync on, a ledger of outside effects, servers and workers as real processes; puts people and
subscribers at them and lets the schedule of faults that follows from the seed strike. Then it waits until everything
is done, holds what everybody saw against the invariants, and prints each that was broken, with the run, the event and
the lines that show it. Exit status 1 when one was; the whole history is kept in the folder that it names.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.checker import Violation, check
from tests.chaos.fleet import LEASE_SECONDS, SWEEP_SECONDS
from tests.chaos.history import History
from tests.chaos.nemesis import FAULTS, GAP_SECONDS, World, schedule, torment
from tests.chaos.recovery import recoveries, table
from tests.chaos.trial import QUIET_SECONDS, Load, summary, trial


def main() -> int:
    """Read the arguments and run a trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="A long trial under faults.")
    parser.add_argument("--seed", type=int, default=None, help="of the schedule of faults; a random one if left out")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long faults strike")
    parser.add_argument("--only", default="", help="kinds of fault, comma-separated; all if left out")
    parser.add_argument("--every", type=float, default=1.2, help="seconds between a submitter's submissions")
    parser.add_argument("--gap", type=float, default=GAP_SECONDS, help="seconds between faults")
    parser.add_argument("--alone", action="store_true", help="each fault waits until the one before it is mended")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="LEASE_SECONDS of all processes")
    parser.add_argument("--sweep", type=float, default=SWEEP_SECONDS, help="SWEEP_SECONDS of all processes")
    parser.add_argument("--folder", type=Path, default=None, help="where the history is kept")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder: Path = chosen.folder or Path(tempfile.mkdtemp(prefix="lifeos-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    kinds = [kind.strip() for kind in chosen.only.split(",") if kind.strip()] or list(FAULTS)
    if unknown := set(kinds) - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(FAULTS))}")
    print(f"seed {seed}, {chosen.minutes:g} minutes, {len(kinds)} kinds of fault; everything is kept in {folder}")
    strikes = schedule(seed, chosen.minutes * 60, kinds, gap_seconds=chosen.gap)

    async def disturb(world: World) -> None:
        await torment(world, strikes, alone_for_seconds=chosen.minutes * 60 if chosen.alone else None)

    began = time.monotonic()
    settings = {"LIFEOS_LEASE_SECONDS": f"{chosen.lease:g}", "LIFEOS_SWEEP_SECONDS": f"{chosen.sweep:g}"}
    load = Load(every_seconds=chosen.every)
    history, is_quiet = asyncio.run(trial(folder, disturb, random.Random(seed), load, settings=settings))
    facts = {
        "seed": seed,
        "minutes": chosen.minutes,
        "lease_seconds": chosen.lease,
        "sweep_seconds": chosen.sweep,
        "seconds": round(time.monotonic() - began),
    }
    return _report(history, check(history), folder, facts, is_quiet=is_quiet)


def _report(
    history: History, found: Sequence[Violation], folder: Path, facts: dict[str, Any], *, is_quiet: bool
) -> int:
    kinds = recoveries(history)
    facts |= summary(history)
    written = {**facts, "violations": [str(each) for each in found], "is_quiet": is_quiet, "kinds": kinds}
    (folder / "recovery.json").write_text(json.dumps(written, indent=2))
    print(f"\n{table(kinds)}\n")
    print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))
    for each in found:
        print(f"\n{each}")
    if not is_quiet:
        print(f"\nnot everything was done within {QUIET_SECONDS:g} s after the last fault")
    print(f"\n{len(found)} violations" if found else "\nevery invariant held")
    if found or not is_quiet:
        return 1
    # Nobody looks at the database of a trial that went well; its history stays.
    shutil.rmtree(folder / "database", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
