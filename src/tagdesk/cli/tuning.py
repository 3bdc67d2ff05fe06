"""The command that looks for a better recipe: tune."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tagdesk.cli import options, reading, screen
from tagdesk.cli.training import _setting as parse_setting
from tagdesk.cli.training import choose_recipe, read_taxonomy
from tagdesk.dataset import Columns, File
from tagdesk.dataset.label_health import find_split_labels
from tagdesk.errors import UsageError
from tagdesk.scorers import Recipe
from tagdesk.tune import (
    Bench,
    Estimate,
    Found,
    Limits,
    Plan,
    Space,
    Standing,
    Task,
    Watch,
    encoders_at_hand,
    open_study,
    parse_goal,
    search,
    with_settings,
    write,
)

if TYPE_CHECKING:
    from tagdesk.tune.study import OpenStudy

STANDARD = "probe"  # what `train` takes when no recipe is named
QUIET = 10.0  # seconds between two lines about progress where nobody looks at a bar


def tune(
    file: options.TicketFile,
    objective: Annotated[
        str,
        typer.Option("--objective", help="f1_macro, f1_micro, exact_match, or coverage@precision>=.95, any share."),
    ] = "f1_macro",
    recipes: Annotated[
        str, typer.Option("--recipes", "-r", help="Where to start: names or .toml files, joined by commas.")
    ] = "probe,linear",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="A setting that stays as it is, as in encoder=starter; repeatable."),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="How many recipes the study tries in all.")] = 60,
    minutes: Annotated[float, typer.Option("--minutes", help="How long this call may take.")] = 15.0,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            help="A file, or postgresql://... for several machines; else tune.log in --out.",
            metavar="PLACE",
        ),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="The study's name; else the file's.")] = None,
    latency_ms: Annotated[
        float | None, typer.Option("--latency-ms", help="How long a ticket of 20 words may take on this machine.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the recipe and the report.")] = Path(
        "tune"
    ),
    taxonomy: options.Taxonomy = None,
    seed: options.Seed = 0,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask when it may take longer than allowed.")] = False,
    as_json: options.Json = False,
) -> None:
    """Search for a recipe that suits these tickets better.

    It can be stopped at any moment; the same call goes on with it. Several calls may work on one study at a time. The
    default recipe is replaced only if another is shown to be better on tickets that the search has not seen.
    """
    reading.refuse_folder(out)
    if not 0 < minutes < math.inf:
        raise UsageError(f"--minutes {minutes:g}: expected a number above 0.", code="bad_setting")
    began = time.monotonic()
    task = _task(objective, recipes, settings or [], latency_ms, seed)
    labels = read_taxonomy(taxonomy) if taxonomy else None
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, time="")
    read = reading.read(File(file, columns, encoding, delimiter, file_format))
    for problem in find_split_labels(read.accepted):
        screen.note(f"warning: {problem.message}")
    plan = Plan.of(read.tickets, task, taxonomy=labels)
    with open_study(plan, storage or str(out / "tune.log"), study or file.stem) as opened:
        for line in (*plan.warnings, *opened.remarks):
            screen.note(f"warning: {line}")
        _say_labels(plan, is_quiet=as_json)
        bench = Bench(plan)
        question = _preflight(opened, bench, trials, 60 * minutes)
        limits = Limits(trials, 60 * minutes - (time.monotonic() - began))  # a person may take time to answer
        if question:
            _ask(question, yes=yes)
        with _watched(str(task.goal)) as watch:
            found = search(opened, limits, bench=bench, watch=watch)
        write(found, opened, out, f"A recipe for {file.name}")
    if as_json:
        screen.print_json(found.to_dict() | {"out": str(out)})
    else:
        _print(found, file, out)
    reading.end(read)


COMMANDS = {"tune": tune}


def _task(objective: str, recipes: str, settings: list[str], latency_ms: float | None, seed: int) -> Task:
    goal = parse_goal(objective)
    names = list(dict.fromkeys(name.strip() for name in recipes.split(",") if name.strip()))
    names.sort(key=lambda name: name != STANDARD)
    fixed = dict(parse_setting(text) for text in settings)
    # Thresholds of the default serve the goal too: a search should not look good for having set them.
    matching = {"objective": goal.kind} if goal.has_thresholds else {}
    bases: dict[str, Recipe] = {}
    for name in names:
        base = choose_recipe(name, [], seed)
        bases[name] = base if name.endswith(".toml") else base.changed(matching)
    space = Space.of(
        with_settings(bases, fixed),
        fixed=frozenset(fixed),
        thresholds=goal.has_thresholds,
        encoders=encoders_at_hand(),
    )
    return Task(goal, space, latency_ms, seed)


def _say_labels(plan: Plan, *, is_quiet: bool) -> None:
    if is_quiet:
        return
    rows = sorted(plan.counts.items(), key=lambda item: (-item[1], item[0]))
    screen.out().print(screen.plain_table(["label", "tickets"], rows))


def _preflight(opened: OpenStudy, bench: Bench, trials: int, allowed: float) -> str:
    """Say how long the search would take, in seconds; what to ask where that is longer than allowed."""
    left = trials - opened.done()
    if left <= 0:
        screen.note(f"The study {opened.name!r} has its {trials:,} trials; they are judged once more.")
        return ""
    each = opened.seconds()
    if each is not None:
        needed, within = each * left, int(allowed / max(each, 1e-9))
    else:
        estimate = Estimate.of(opened.plan, bench, left)
        for name, cost in estimate.costs.items():
            first = f", and {_duration(cost.reading)} once to read the tickets" if cost.reading >= 1 else ""
            screen.note(f"{name}: about {_duration(cost.fold)} for each fold of a trial{first}")
        needed, within = estimate.seconds, estimate.trials_within(allowed)
    screen.note(f"{left:,} trials take about {_duration(needed)} at most; {_duration(allowed)} are allowed.")
    return "" if needed <= allowed else f"The search will end early, with about {min(within, left):,} trials"


def _ask(question: str, *, yes: bool) -> None:
    """Go on where somebody says so, or nobody can be asked."""
    if yes or sys.stdin is None or not sys.stdin.isatty():
        screen.note(f"{question}.")
    else:
        typer.confirm(f"{question}. Go on?", abort=True, default=True, err=True)


@contextmanager
def _watched(objective: str) -> Iterator[Watch]:
    """Progress as a bar on stderr; where nobody looks at one, a line for each new best."""
    from rich.console import Console  # noqa: PLC0415 - only here

    console = Console(stderr=True)
    told = {"best": -math.inf, "when": -math.inf}

    def words(standing: Standing) -> str:
        if standing.reading:
            return f"reading {standing.reading[0]:,} of {standing.reading[1]:,} tickets"
        if standing.is_judging:
            return "judging the best and the default recipe"
        best = "" if standing.best is None else f", best {objective} {standing.best:.3f} ({standing.recipe})"
        left = f", {_duration(standing.seconds_left)} left" if math.isfinite(standing.seconds_left) else ""
        return f"trial {min(standing.done + 1, standing.trials):,} of {standing.trials:,}{best}{left}"

    def tell(standing: Standing) -> None:
        now = time.monotonic()
        if standing.best is not None and standing.best > told["best"] and now - told["when"] >= QUIET:
            told.update(best=standing.best, when=now)
            screen.note(words(standing))

    if not console.is_terminal:
        yield tell
        return
    with console.status("") as status:
        yield lambda standing: status.update(Text(screen.visible(words(standing))))


def _print(found: Found, file: Path, out: Path) -> None:
    console = screen.out()
    console.print(Text(screen.visible(found.sentence)))
    rows = [
        (name, judged.row.value, judged.outer, judged.row.latency_ms)
        for name, judged in (("default", found.default), ("best", found.best))
        if judged is not None
    ]
    columns = ["recipe", f"{found.objective}, inner folds", f"{found.objective}, tickets kept", "ms for a ticket"]
    console.print(screen.plain_table(columns, rows))
    recipe = shlex.quote(str(out / "recipe.toml"))
    lines = {
        "trials": len(found.rows),
        "recipe": out / "recipe.toml",
        "report": out / "report.html",
        "use it": f"tagdesk train {shlex.quote(str(file))} --recipe {recipe} --out models",
    }
    console.print(screen.mapping_lines(lines), markup=False)


def _duration(seconds: float) -> str:
    """A time as people say it.

    >>> _duration(0.04), _duration(12.3), _duration(59.7), _duration(5400)
    ('0.04 s', '12 s', '1 min', '90 min')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.0f} min"
