"""Keeps what was found, so that parts of the benchmark can be run on different days, and shows it as tables."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from peers.quality import FIGURES
from peers.texts import SETS
from tables import table

Result: TypeAlias = dict[str, Any]
YARDSTICK = "sentence-transformers"
ROWS = ("speed", "processes", "quality")
QUALITY = {"peer": "peer", "task": "task", "learned": "learned from", "judged": "judged by"} | {
    figure: figure.replace("_", " ").replace("f1", "F1") for figure in FIGURES
}
PROCESSES = {
    "peer": "peer",
    "p50_milliseconds": "one ticket of 20 words, p50 ms",
    "p99_milliseconds": "p99 ms",
    "cold_start_seconds": "cold start, s",
    "peak_megabytes": "peak memory, MB",
    "installed_megabytes": "installed, MB",
}


def machine(threads: int) -> dict[str, Any]:
    """What figures of time depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def known(file: Path, here: Mapping[str, Any]) -> Result:
    """What earlier parts found; ends the program where that was on another machine."""
    if not file.is_file():
        return {"machine": here, **{rows: {} for rows in ROWS}}
    found: Result = json.loads(file.read_text(encoding="utf-8"))
    if found["machine"] != here:
        raise SystemExit(
            f"{file} holds figures of another machine: {found['machine']}; this one is {here}. Figures of the two "
            "cannot stand in one table: move the file away, or go on where it was made."
        )
    return found


def keep(result: Result, file: Path) -> None:
    """Write what is known by now, to be shown later."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def lines(result: Result) -> list[str]:
    """The tables that have rows."""
    facts = result["machine"]
    size = f"{facts['cores']} cores, {facts['memory_gigabytes']} GB"
    shown = [f"{facts['processor']}, {size}, Python {facts['python']}; {facts['threads']} threads for each peer."]
    if result["speed"]:
        shown += ["", "Texts a second: median (lowest to highest round), times as fast as sentence-transformers.", ""]
        shown += speed_lines(result["speed"])
    if result["processes"]:
        shown += ["", *table(list(result["processes"].values()), PROCESSES), ""]
        shown += [described(row) for row in result["processes"].values()]
    if result["quality"]:
        rows = sorted(result["quality"].values(), key=lambda row: (row["task"], -row["f1_macro"]))
        shown += ["", "Medians over seeds, macro F1 over all labels of the task.", "", *table(rows, QUALITY)]
    return shown


def described(row: Mapping[str, Any]) -> str:
    """A peer in words."""
    versions = ", ".join(f"{package} {version}" for package, version in row["versions"].items())
    return f"- {row['peer']}: {row['note']}{f' ({versions})' if versions else ''}"


def speed_lines(speed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A row for each peer, a column for each set."""
    rows = []
    for peer in dict.fromkeys(row["peer"] for row in speed.values()):
        cells = {name: rate(speed.get(f"{peer} | {name}"), speed.get(f"{YARDSTICK} | {name}")) for name in SETS}
        rows.append({"peer": peer, **cells})
    return table(rows)


def rate(row: Mapping[str, Any] | None, yardstick: Mapping[str, Any] | None) -> str | None:
    """One cell."""
    if row is None:
        return None
    found = f"{number(row['median'])} ({number(row['lowest'])} to {number(row['highest'])})"
    return found if yardstick is None else f"{found}, {row['median'] / yardstick['median']:.2g} x"


def number(value: float) -> str:
    """Three digits of it, or all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
