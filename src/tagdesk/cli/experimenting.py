"""Commands about experiments: create, start, status, stop, list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tagdesk.cli import options, reading, screen
from tagdesk.cli.registry import Why
from tagdesk.cli.service import USUAL, StoreUrl, Who
from tagdesk.errors import UsageError
from tagdesk.experiment.definition import Experiment, Unit, Variant
from tagdesk.experiment.design import EXACT_MATCH, Arm, Design, Kind, State
from tagdesk.experiment.planning import Chances, size_for_shares
from tagdesk.experiment.sequential import size_factor
from tagdesk.model import find_model, read_manifest

if TYPE_CHECKING:
    from tagdesk.desk.experiments import Experiments
    from tagdesk.model import Model
    from tagdesk.results import Standing
    from tagdesk.store import Store

Name = Annotated[str, typer.Argument(help="The experiment's name: a-z, 0-9 and -.", metavar="NAME")]

experiment = typer.Typer(help="Try a model or a policy on a part of the customers.", no_args_is_help=True)


@experiment.command("create")
def create(
    name: Name,
    variant: Annotated[
        list[str],
        typer.Option("--variant", help="NAME=MODEL[:POLICY.json][@SHARE]; the first is what is current; repeatable."),
    ],
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Nobody hears the challenger; its answers are kept.")
    ] = False,
    unit: Annotated[Unit, typer.Option("--unit", help="What stays with one variant.")] = Unit.CUSTOMER,
    holdout: Annotated[float, typer.Option("--holdout", help="Share that never takes part.", min=0, max=0.99)] = 0.0,
    figure: Annotated[
        str, typer.Option("--figure", help="What decides: exact_match of reviewed tickets, or an outcome's name.")
    ] = EXACT_MATCH,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="Of an outcome, such as minutes.")] = False,
    margin: Annotated[
        float, typer.Option("--margin", help="A loss that is none; without it the challenger must be better.", min=0)
    ] = 0.0,
    effect: Annotated[
        float, typer.Option("--effect", help="The difference that it is to find, as in 0.03.", min=0.001, max=0.5)
    ] = 0.03,
    baseline: Annotated[
        float, typer.Option("--baseline", help="What exact match is today, about.", min=0.01, max=0.99)
    ] = 0.8,
    days: Annotated[int, typer.Option("--days", help="After which it is over.", min=1, max=366)] = 30,
    may_decide: Annotated[
        bool, typer.Option("--may-decide", help="Let the service promote the better one, or stop for harm, by itself.")
    ] = False,
    who: Who = "command line",
    store: StoreUrl = USUAL,
    root: options.Models = Path("models"),
    as_json: options.Json = False,
) -> None:
    """Write an experiment down, with the number of customers that it needs; `start` lets it begin."""
    variants = [_variant(text, len(variant)) for text in variant]
    for _, arm, _ in variants:
        read_manifest(find_model(arm.model, models=root))
    shares = tuple(Variant(one, share) for one, _, share in variants)
    design = Design(
        Experiment(name, shares, unit=unit, holdout=holdout),
        {one: arm for one, arm, _ in variants},
        kind=Kind.SHADOW if shadow else Kind.SPLIT,
        figure=figure,
        lower_is_better=lower_is_better,
        margin=margin,
        planned=_planned(baseline, effect),
        days=days,
        may_decide=may_decide,
    )
    with _open(store) as opened:
        version = _experiments(opened, root).create(design, who=who, now=datetime.now(UTC))
    if as_json:
        screen.print_json(version.to_dict())
        return
    typer.echo(
        f"{name} is written down. It needs reviews of about {design.planned:,} tickets of each variant to find a"
    )
    typer.echo(f"difference of {100 * effect:g} points. Begin: tagdesk experiment start {name} --why ...")


@experiment.command("start")
def start(
    name: Name,
    why: Why,
    who: Who = "command line",
    store: StoreUrl = USUAL,
    root: options.Models = Path("models"),
) -> None:
    """Let an experiment begin; its models are tried first, and services that run follow within seconds."""
    with _open(store) as opened:
        _experiments(opened, root).start(name, who=who, why=why, now=datetime.now(UTC))
    typer.echo(f"{name} runs from now on; services follow in seconds. See: tagdesk experiment status {name}")


@experiment.command("stop")
def stop(
    name: Name,
    why: Why,
    who: Who = "command line",
    store: StoreUrl = USUAL,
    root: options.Models = Path("models"),
) -> None:
    """End an experiment for good; what was promoted last answers everybody again."""
    with _open(store) as opened:
        _experiments(opened, root).stop(name, who=who, why=why, now=datetime.now(UTC))
    typer.echo(f"{name} is stopped.")


@experiment.command("list")
def list_all(store: StoreUrl = USUAL, as_json: options.Json = False) -> None:
    """List the experiments, those that are over too."""
    from tagdesk.desk.experiments import designs  # noqa: PLC0415 - `--help` does without it

    with _open(store) as opened:
        found = designs(opened)
    if as_json:
        screen.print_json([version.to_dict() for version, _ in found])
        return
    rows = [
        (design.name, design.kind.value, design.state.value, _since(design), version.who, design.why)
        for version, design in found
    ]
    screen.out().print(screen.plain_table(["name", "kind", "state", "since", "by", "why"], rows))


@experiment.command("status")
def status(
    name: Name,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the report with its picture.")] = None,
    store: StoreUrl = USUAL,
    as_json: options.Json = False,
) -> None:
    """Say how an experiment stands, and what to do; to look every day does no harm."""
    from tagdesk.desk.experiments import find  # noqa: PLC0415 - as above
    from tagdesk.results import standing  # noqa: PLC0415 - the same

    if out is not None:
        reading.refuse_folder(out)
    with _open(store) as opened:
        version, design = find(opened, name)
        if design.since is None:
            raise UsageError(f"{name} was never started: tagdesk experiment start {name} --why ...", code="not_started")
        if design.kind is Kind.SHADOW:
            _print_shadow(opened, design, as_json=as_json)
            return
        now = version.time if design.state is State.STOPPED else datetime.now(UTC)
        found = standing(opened, design, now=now)
        history = opened.experiments.history(name)
    if out is not None:
        from tagdesk.report.experiments import write_experiment  # noqa: PLC0415 - matplotlib is slow to import

        write_experiment(out, found, history)
    if as_json:
        screen.print_json(found.to_dict())
    else:
        _print(found)
    if out is not None:
        screen.note(f"The report with its picture: {out / 'experiment.html'}")


COMMANDS = {"experiment": experiment}


def _variant(text: str, count: int) -> tuple[str, Arm, float]:
    """NAME=MODEL[:POLICY][@SHARE] as a name, what it answers with, and its share; raises UsageError."""
    name, equals, rest = text.partition("=")
    body, at, written = rest.rpartition("@")
    model, _, policy = (body if at else rest).partition(":")
    if not equals or not name or not model:
        raise UsageError(
            f"--variant {text[:80]!r}: expected NAME=MODEL[:POLICY.json][@SHARE], as in current=starter@0.5.",
            code="bad_variant",
        )
    try:
        share = float(written) if at else 1 / count
    except ValueError:
        raise UsageError(f"--variant {text[:80]!r}: {written[:20]!r} is no share.", code="bad_variant") from None
    return name, Arm(model, _policy(Path(policy)) if policy else None), share


def _policy(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a policy: {error}.", code="bad_policy") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no policy. Expected what a model's policy.json holds.", code="bad_policy")
    return found


def _planned(baseline: float, effect: float) -> int:
    """Units of each variant that a test takes which may be looked at every day."""
    aim = baseline + effect if baseline + effect < 1 else baseline - effect
    return int(size_for_shares(baseline, aim).challenger * size_factor(Chances())) + 1


def _open(place: str) -> Store:
    from tagdesk.store import Store  # noqa: PLC0415 - `--help` does without it

    return Store.open(place, make=False)


def _experiments(store: Store, root: Path) -> Experiments:
    """What the store knows, without a service: models are tried, and nothing runs here."""
    from tagdesk.desk import registry  # noqa: PLC0415 - the same
    from tagdesk.desk.candidate import open_checked  # noqa: PLC0415 - the same
    from tagdesk.desk.experiments import Experiments  # noqa: PLC0415 - the same

    def opened(name: str, *, tried: bool) -> Model:  # noqa: ARG001 - here they are tried always
        return open_checked(registry.named(name), root)

    return Experiments(store, root, opened, runs_here=False)


def _since(design: Design) -> str:
    return "" if design.since is None else design.since.isoformat(timespec="minutes")[:16]


def _print(found: Standing) -> None:
    console = screen.out()
    console.print(Text(screen.visible(found.decision.reason)))
    console.print(f"To do: {found.decision.action.value}. Day {found.day.today} of {found.day.planned}.", markup=False)
    rows = [
        (variant, found.ratio.counts.get(variant, 0), cases, found.outcomes[variant])
        for variant, cases in found.cases.items()
    ]
    unit = "customers" if found.design.experiment.unit is Unit.CUSTOMER else "tickets"
    console.print(screen.plain_table(["variant", unit, "answers", "with an outcome"], rows))
    for verdict in (*found.decision.guardrails, *found.decision.secondary):
        console.print(Text(screen.visible(f"  {verdict.sentence}")))
    if found.design.figure == EXACT_MATCH:
        how = "Reviews of random checks count alone." if found.is_weighted else "All reviews count, as they came."
        console.print(how, markup=False)


def _print_shadow(store: Store, design: Design, *, as_json: bool) -> None:
    from tagdesk.results import shadow_standing  # noqa: PLC0415 - as above

    found = shadow_standing(store, design)
    if as_json:
        screen.print_json(found.to_dict())
        return
    console = screen.out()
    console.print(Text(screen.visible(found.sentence)))
