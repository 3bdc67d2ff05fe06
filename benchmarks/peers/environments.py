"""Virtual environments, one for each set of pinned packages, made when they are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
PROJECT = BENCHMARKS.parent
BUILD = PROJECT / "build" / "peers"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
OWN = "tagdesk"  # the environment with the project as it stands in this checkout, without extras
DONE = "requirements.txt"  # in the environment: what was installed


def python(name: str) -> Path:
    """The interpreter of an environment."""
    return BUILD / "environments" / name / "bin" / "python"


def ensure(name: str) -> None:
    """Make the environment, or make it anew where other packages are asked for now."""
    pins = PROJECT / "constraints.txt" if name == OWN else REQUIREMENTS / f"{name}.txt"
    wanted = pins.read_text(encoding="utf-8")
    folder = BUILD / "environments" / name
    done = folder / DONE
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        print(f"installing {name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        if name != OWN:
            # torch first and alone, so that nothing asks for another build of it.
            for pin in (line for line in wanted.splitlines() if line.startswith("torch==")):
                _install(name, pin)
            _install(name, "-r", str(pins))
        done.write_text(wanted, encoding="utf-8")
    if name == OWN:
        _install(name, "-c", str(pins), str(PROJECT))


def megabytes(name: str) -> float:
    """What the installed packages take on the disk, compiled modules included."""
    (packages,) = (BUILD / "environments" / name / "lib").glob("python*/site-packages")
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6


def _install(name: str, *what: str) -> None:
    pip = [str(python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True)
