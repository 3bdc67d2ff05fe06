"""Proves what the service promises: each part starts a real `tagdesk serve` and counts what went wrong.

In full it takes hours; `--small` does a little of each, and writes into build/. `--broken` puts a fault into the
service first, and is content where each part finds out. What is run again replaces its part of results/prove.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from prove import BUILD, faults, fuzz, kills, overhead, overload, swaps
from prove.claim import Claim
from prove.service import end_all
from tables import RESULTS, publish, table

PROOFS: dict[str, Any] = {
    "fuzz": fuzz,
    "kills": kills,
    "overload": overload,
    "swaps": swaps,
    "overhead": overhead,
    "faults": faults,
}
FILE = "prove.json"
COLUMNS = {"part": "part", "claim": "claim", "bar": "bar", "figure": "figure", "holds": "holds?"}


def main() -> None:
    """Run the parts that were asked for; write prove.json and .md; end with 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PROOFS)}; without any, all")
    parser.add_argument("--small", action="store_true", help="a little of each, into build/prove")
    parser.add_argument("--broken", action="store_true", help="against a broken service; content where that shows")
    parser.add_argument("--set", action="append", default=[], metavar="PART.NAME=VALUE", help="such as kills.kills=50")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the folder for what is found")
    given = parser.parse_args()
    if strangers := set(given.parts) - PROOFS.keys():
        parser.error(f"unknown: {', '.join(sorted(strangers))}; expected some of {', '.join(PROOFS)}")
    out = given.out or (BUILD / "broken" if given.broken else BUILD if given.small else RESULTS)
    for name in given.parts or PROOFS:
        size = sized(name, given.set, is_small=given.small)
        keep(name, proven(name, size, given.seed, broken=given.broken), out)
    found = known(out / FILE)
    publish("prove", found, table(rows(found), COLUMNS), out)
    holding = {name: all(claim["holds"] for claim in found[name]["claims"]) for name in given.parts or PROOFS}
    if given.broken:
        holding = {name: not holds for name, holds in holding.items()}
    if failing := [name for name, holds in holding.items() if not holds]:
        raise SystemExit(f"{'Blind' if given.broken else 'Not proven'}: {', '.join(failing)}")


def sized(part: str, settings: Sequence[str], *, is_small: bool) -> Any:
    """How large a part is, with the changes that were asked for."""
    size = PROOFS[part].SMALL if is_small else PROOFS[part].Size()
    for setting in settings:
        name, _, value = setting.partition("=")
        of, _, field = name.partition(".")
        if of == part and field in {one.name for one in fields(size)}:
            size = replace(size, **{field: json.loads(value)})
        elif of == part or of not in PROOFS:
            raise SystemExit(f"--set {setting}: expected PART.NAME=VALUE, NAME one of the part's sizes.")
    return size


def proven(part: str, size: Any, seed: int, *, broken: bool) -> dict[str, Any]:
    """The claims of a part; one that could not be run holds nothing."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tagdesk-prove-", ignore_cleanup_errors=True) as folder:
        try:
            claims = PROOFS[part].prove(size, Path(folder), seed, broken=broken)
        except Exception as error:  # noqa: BLE001 - the other parts are worth running
            traceback.print_exc()
            claims = [Claim("the part ran to its end", "yes", type(error).__name__, holds=False)]
        finally:
            end_all()
        result = {
            "size": asdict(size),
            "seed": seed,
            "cores": os.cpu_count(),
            "load average": round(os.getloadavg()[2], 1),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "claims": [claim.to_dict() for claim in claims],
        }
        return nameless(result, folder)


def nameless(value: Any, folder: str) -> Any:
    """The same without the names of this machine's folders."""
    text = json.dumps(value)
    for path in (folder, str(BUILD.parent.parent), tempfile.gettempdir()):
        text = text.replace(json.dumps(path)[1:-1], "...")
    return json.loads(text)


def keep(part: str, found: Mapping[str, Any], out: Path) -> None:
    """Put a part into the file, for it took long."""
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_text(json.dumps({**known(out / FILE), part: found}, indent=1) + "\n", encoding="utf-8")


def known(path: Path) -> dict[str, Any]:
    """What is in the file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The claims of all parts, in the order of the parts."""
    return [
        {"part": part, **claim, "holds": "yes" if claim["holds"] else "**no**"}
        for part in PROOFS
        if part in found
        for claim in found[part]["claims"]
    ]


if __name__ == "__main__":
    main()
