"""Peers' scripts beside ours, in turn with us, on the same database server: `make bench PEERS=1`.

PEERS_DIR names a folder with the scripts (`peer_absurd.py`, …) and, below `venv/`, an environment for each
(`venv/absurd/bin/python`). A peer that lacks either is left out, and the report says so. The server then also listens
on 127.0.0.1:5432, without a password, for as long as the benchmark runs: their scripts reach it in no other way.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import asyncpg

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Ratio, Row, Target
from benchmarks.machine import Meter

HOW: Final = (
    "PEERS_DIR should name a folder with peer_NAME.py scripts and venv/NAME/bin/python for each; "
    "for absurd also absurd.sql, the SQL of its repository"
)
LISTENING: Final[Mapping[str, str]] = MappingProxyType({"listen_addresses": "127.0.0.1", "max_connections": "300"})
"""Settings of a server that their scripts can reach."""

_ADDRESS: Final = "postgresql://lifeos@127.0.0.1:5432"
_PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Peer:
    """One script: its arguments, and how it says its steps a second. `{dsn}` and `{runs}` are put in."""

    name: str
    script: str
    python: str
    arguments: tuple[str, ...]
    says: str
    sql: str | None = None


PEERS: Final = (
    Peer("absurd", "peer_absurd.py", "absurd", ("{dsn}", "{runs}", "8"), r"([\d.]+) steps/s", sql="absurd.sql"),
    Peer("pgqueuer", "peer_pgqueuer.py", "pgqueuer", ("{dsn}", "{runs}", "chain"), r"([\d.]+)/s"),
    Peer("DBOS", "peer_dbos.py", "dbos", (), r'A_chain_direct_async.*?"median": ([\d.]+)'),
    Peer("LangGraph", "peer_langgraph.py", "langgraph", (), r'A_chain_sync: .*?"median": ([\d.]+)'),
    Peer("procrastinate", "peer_procrastinate.py", "procrastinate", (), r'A_chain: .*?"median": ([\d.]+)'),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A peer that is there, with its figure."""

    bench: Bench
    peer: Peer
    folder: Path
    figure: Figure

    async def measure(self) -> None:
        """Run its script once, and keep its figures."""
        async with self.bench.cluster.fresh(migrated=False) as dsn:
            database = re.sub(r".*/(\w+)\?.*", rf"{_ADDRESS}/\1", dsn)
            if self.peer.sql is not None:
                await _load(dsn, self.folder / self.peer.sql)
            runs = self.bench.of(500, 50)
            words = [each.format(dsn=database, runs=runs) for each in self.peer.arguments]
            with Meter() as meter:
                said = await self._said(words, runs)
        found = re.search(self.peer.says, said, re.DOTALL)
        if found is None:
            self.bench.say(f"  {self.peer.name} said nothing of its steps a second: {said[-300:]}")
        else:
            self.figure.add(float(found[1]), meter.load)

    async def _said(self, words: list[str], runs: int) -> str:
        # Their scripts take the server from PostgreSQL's own variables, and the folder for results from an argument.
        ours = {
            "PGHOST": "127.0.0.1",
            "PGPORT": "5432",
            "PGUSER": "lifeos",
            "N": str(runs),
            "PYTHONUNBUFFERED": "1",
            "RESULTS_JSON": str(self.bench.folder / f"{self.peer.python}.json"),
        }
        process = await asyncio.create_subprocess_exec(
            str(_python(self.folder, self.peer)),
            str(self.folder / self.peer.script),
            *words,
            cwd=self.folder,
            env={**os.environ, **ours},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        said = ""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                # Some of them go on to measure what we do not ask for.
                async for line in process.stdout:
                    said += line.decode(errors="replace")
                    if re.search(self.peer.says, said, re.DOTALL):
                        break
        except TimeoutError:
            return f"it took too long: {said}"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return said


def contenders(bench: Bench, row: Row) -> list[Contender]:
    """The peers that can be measured here, with a figure of the row for each."""
    if not bench.peers:
        return []
    folder = Path(os.environ.get("PEERS_DIR", "/nonexistent"))
    there = [peer for peer in PEERS if (folder / peer.script).exists() and _python(folder, peer).exists()]
    there = [peer for peer in there if peer.sql is None or (folder / peer.sql).exists()]
    missing = [peer.name for peer in PEERS if peer not in there]
    if missing:
        bench.say(f"  not measured: {', '.join(missing)}. {HOW}")
    return [Contender(bench, peer, folder, row.figure(peer.name, "steps/s")) for peer in there]


def target(row: Row, ours: Figure, name: str, times: float) -> Target:
    """To be so many times as fast as a peer; open when it was not measured."""
    text = f"≥ {times:g} × {name}" if times != 1 else f"ahead of {name}"
    other = next((each for each in row.figures if each.name == name and each.samples), None)
    if other is None:
        return Target(f"{text} (not measured in this run)", None, None)
    ratio = Ratio.of(f"lifeos / {name}", ours, other)
    row.ratios.append(ratio)
    return Target.at_least(text, ratio.median, times)


def _python(folder: Path, peer: Peer) -> Path:
    return folder / "venv" / peer.python / "bin" / "python"


async def _load(dsn: str, path: Path) -> None:
    sql = await asyncio.to_thread(path.read_text)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
