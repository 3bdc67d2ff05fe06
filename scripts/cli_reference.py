"""Writes docs/reference/cli.md from the help of the command line, or checks that it is current."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path

from tagdesk.cli import run

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
COMMANDS = (
    "predict",
    "classify",
    "evaluate",
    "train",
    "compare",
    "tune",
    "queue",
    "review",
    "retrain",
    "experiment create",
    "experiment start",
    "experiment status",
    "experiment stop",
    "experiment list",
    "drift",
    "check",
    "audit",
    "split",
    "generate",
    "export",
    "models",
    "models promote",
    "rollback",
    "card",
    "serve",
    "keys create",
    "keys list",
    "keys revoke",
    "store check",
    "store backup",
    "store export",
    "store retain",
    "store erase",
)


def main() -> int:
    """Write the page; with --check only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the page is out of date")
    arguments = parser.parse_args()
    text = page()
    if arguments.check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            sys.stderr.write("docs/reference/cli.md is out of date. Run `make docs`.\n")
            return 1
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """The help of every command, as Markdown."""
    os.environ["COLUMNS"] = "100"
    parts = ["# The command line", "Made by `make docs` from the help of each command.", block([])]
    for command in COMMANDS:
        parts += [f"## tagdesk {command}", block(command.split())]
    return "\n\n".join(parts) + "\n"


def block(arguments: list[str]) -> str:
    """The help of one command."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run([*arguments, "--help"])
    lines = [line.rstrip() for line in out.getvalue().strip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


if __name__ == "__main__":
    sys.exit(main())
