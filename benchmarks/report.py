"""Results as people read them: a table on a terminal, plain lines in a pipe, JSON in a file, Markdown in the README."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.figures import NOISY_CORES

RESULTS: Final = Path(__file__).parent / "results"
LATEST: Final = RESULTS / "latest.json"
README: Final = Path(__file__).parent / "README.md"
_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"

Results = Mapping[str, Any]
_SIGN: Final = {True: "met", False: "missed", None: "open"}


def write(results: Results, *places: Path) -> None:
    """Keep the results; a reader never sees half of them."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(".tmp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(place)


def show(results: Results) -> None:
    """Print the results: drawn on a terminal, plain and tab-separated in a pipe."""
    if sys.stdout.isatty():
        _draw(results)
        return
    for line in _machine(results):
        print(f"# {line}")
    for row in results["rows"]:
        print(f"\n# {row['number']} {row['title']}")
        if row["error"]:
            print(f"failed\t{row['error']}")
        for line in _lines(row):
            print("\t".join(line))
        for each in row["targets"]:
            print(f"target\t{each['text']}\t{_number(each['value'])}\t{_SIGN[each['met']]}")


def into_readme(results: Results, readme: Path = README) -> None:
    """Put the table in the README's place for it."""
    text = readme.read_text(encoding="utf-8")
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{readme} lacks the lines {_BEGIN} and {_END}")
    readme.write_text(f"{head}{_BEGIN}\n\n{_markdown(results)}\n{_END}{tail}", encoding="utf-8")


def _draw(results: Results) -> None:
    console = Console()
    for line in _machine(results):
        console.print(line, style="dim", highlight=False)
    for row in results["rows"]:
        table = Table(
            "what", "median", "min", "max", "unit", "others' cores",
            title=f"{row['number']}  {row['title']}", title_justify="left", title_style="bold", expand=False,
        )  # fmt: skip
        for column in table.columns[1:4]:
            column.justify = "right"
        for name, median, low, high, unit, cores in _lines(row):
            table.add_row(name, median, low, high, unit, cores)
        console.print(table)
        if row["error"]:
            console.print(f"failed: {row['error']}", style="red", markup=False)
        for each in row["targets"]:
            style = {True: "green", False: "red", None: "yellow"}[each["met"]]
            value = f" ({_number(each['value'])})" if each["value"] is not None else ""
            console.print(f"  {_SIGN[each['met']]:7}{each['text']}{value}", style=style, highlight=False)
        console.print()


def _lines(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str, str]]:
    for each in row["figures"]:
        yield (
            each["name"],
            _number(each["median"]),
            _number(each["min"]),
            _number(each["max"]),
            each["unit"],
            _cores(each),
        )
    for each in row["ratios"]:
        yield each["name"], _number(each["median"]), _number(each["min"]), _number(each["max"]), "ratio", ""


def _markdown(results: Results) -> str:
    lines = [f"{line}  " for line in _machine(results)]
    lines += ["", "| # | what | median | min – max | unit | others' cores |", "| --- | --- | ---: | --- | --- | --- |"]
    for row in results["rows"]:
        lines.append(f"| **{row['number']}** | **{row['title']}** | | | | |")
        if row["error"]:
            lines.append(f"| | failed: {row['error']} | | | | |")
        for name, median, low, high, unit, cores in _lines(row):
            lines.append(f"| | {name} | {median} | {low} – {high} | {unit} | {cores} |")
        for each in row["targets"]:
            lines.append(f"| | *{each['text']}* | {_number(each['value'])} | *{_SIGN[each['met']]}* | | |")
    return "\n".join(lines) + "\n"


def _machine(results: Results) -> Sequence[str]:
    facts = results["machine"]
    quick = ", quick: sizes too small to mean much" if results["quick"] else ""
    names = ("fsync", "synchronous_commit", "full_page_writes")
    durable = ", ".join(f"{name}={facts['settings'][name]}" for name in names)
    return (
        f"{facts['at']}, commit {facts['commit'] or 'unknown'}{quick}",
        f"{facts['cores']} cores of {facts['cpu']}, {facts['memory_gib']} GiB, Linux {facts['kernel']}",
        f"Python {facts['python']}, PostgreSQL {facts['postgresql']} with {durable}",
        f"a write and fdatasync took {facts['fdatasync_microseconds']} µs on {facts['file_system']} before it all",
        f"load before: {facts['load_1_5_15'][0]}; {results['repeats']} repetitions",
    )


def _cores(figure: Mapping[str, Any]) -> str:
    """What others used: the most while any sample was taken, marked when it was too much."""
    seen = [*figure["foreign_cores"], *figure["stolen_cores"]]
    return "" if not seen else f"{max(seen):.2f}{' noisy' if max(seen) > NOISY_CORES else ''}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
