"""The command that makes up labelled tickets: generate."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from tagdesk.cli import INTERRUPTED, options, reading, screen
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import open_writer
from tagdesk.dataset.draft import refuse_target
from tagdesk.dataset.near import words
from tagdesk.errors import InputError, UsageError
from tagdesk.generate import Asked, Author, Composer, Endpoint, PhraseBook, Written, support_phrases
from tagdesk.taxonomy import Taxonomy
from tagdesk.train import support_taxonomy

PROVIDER = "openai-compatible"
KEY = "TAGDESK_API_KEY"
FIELDS = {"id": str, "text": str, "labels": list, "domain": str, "channel": str}
STEP = 10  # tickets between two steps of the progress bar
BY_HAND = "interrupted"


class _Counts(NamedTuple):
    """How many tickets were written, and with which labels."""

    total: int
    without_label: int
    by_label: Counter[str]


def generate(
    out: Annotated[Path, typer.Argument(help="The result: CSV, TSV, JSONL or Parquet by its name.", metavar="OUT")],
    n: Annotated[int, typer.Option("-n", help="How many tickets.", min=1)] = 1000,
    seed: options.Seed = 0,
    phrases: Annotated[
        Path | None, typer.Option("--phrases", help="A phrase book (TOML); else that of the seven support categories.")
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option("--taxonomy", help="A taxonomy.toml; else the labels of the phrase book.")
    ] = None,
    allow_repeats: Annotated[
        bool, typer.Option("--allow-repeats", help="Let sentences recur with other names and numbers.")
    ] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", help=f"{PROVIDER}: a language model of yours writes the tickets.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help=f"Where the model is; its key is read from {KEY}.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model's name there.")] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option("--budget-tokens", help="Stop where another request could use more tokens than that.", min=1),
    ] = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Make up labelled tickets, for tests of scale.

    The same seed gives the same tickets, and fewer tickets are the first of more. No two are made of the same
    sentences. Made-up tickets are for tests and for augmenting real ones; a model is worth what it does on real ones.
    """
    refuse_target(out, force=force)
    labels = read_taxonomy(taxonomy) if taxonomy else None
    book = _book(phrases)
    asked: Asked | None = None
    if provider is None:
        _refuse_stray({"--base-url": base_url, "--model": model, "--budget-tokens": budget_tokens})
        book = book.covering(labels) if labels else book
        tickets = Composer(book, seed=seed, repeats=allow_repeats).tickets(n)
    else:
        endpoint, asked = _endpoint(provider, base_url, model), Asked()
        labels = labels or (Taxonomy.of(book.labels) if phrases else support_taxonomy())
        book = book.planning(labels)
        composer = Composer(book, seed=seed, repeats=True)
        author = Author(endpoint, labels, composer, words, budget_tokens, allow_repeats)
        tickets = _until_interrupted(author.tickets(n, asked), asked)
    started = time.monotonic()
    counts = _write(out, tickets, n, force=force)
    facts: dict[str, object] = {
        "out": str(out),
        "tickets": counts.total,
        "without_label": counts.without_label,
        "seconds": round(time.monotonic() - started, 1),
    }
    if asked is not None:
        facts |= {"requests": asked.requests, "tokens": asked.tokens, "rejected": dict(asked.rejected)}
    _tell(facts, counts, book.labels, as_json=as_json)
    if asked is not None and asked.stopped:
        screen.note(f"Stopped after {counts.total:,} of {n:,} tickets: {asked.stopped}.")
        raise typer.Exit(INTERRUPTED if asked.stopped == BY_HAND else reading.FINISHED_WITH_REJECTS)


COMMANDS = {"generate": generate}


def _book(path: Path | None) -> PhraseBook:
    if path is None:
        return support_phrases()
    try:
        return PhraseBook.from_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", code="bad_encoding") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", code="unreadable") from error


def _endpoint(provider: str, base_url: str | None, model: str | None) -> Endpoint:
    if provider != PROVIDER:
        raise UsageError(f"--provider {provider!r}: expected {PROVIDER}.", code="unknown_provider")
    if not base_url or not model:
        raise UsageError(
            f"--provider {PROVIDER} needs --base-url, such as https://api.example.com/v1, and --model.",
            code="missing_option",
        )
    return Endpoint(base_url, model, os.environ.get(KEY) or None)


def _refuse_stray(given: dict[str, object]) -> None:
    stray = [name for name, value in given.items() if value is not None]
    if stray:
        raise UsageError(f"{', '.join(stray)}: only with --provider {PROVIDER}.", code="missing_option")


def _until_interrupted(tickets: Iterator[Written], asked: Asked) -> Iterator[Written]:
    """The tickets; an interrupt ends them and keeps those that came, since they are paid for."""
    try:
        yield from tickets
    except KeyboardInterrupt:
        if not asked.accepted:
            raise
        asked.stopped = BY_HAND


def _write(out: Path, tickets: Iterable[Written], n: int, *, force: bool) -> _Counts:
    """Write the tickets as they come, and count them."""
    total = without_label = 0
    by_label = Counter[str]()
    with screen.progress() as report, open_writer(out, list(FIELDS), force=force, types=FIELDS) as writer:
        for ticket in tickets:
            if total % STEP == 0:
                report("tickets", total, n)
            writer.write({field: getattr(ticket, field) for field in FIELDS})
            total += 1
            without_label += not ticket.labels
            by_label.update(ticket.labels)
    return _Counts(total, without_label, by_label)


def _tell(facts: dict[str, object], counts: _Counts, names: Iterable[str], *, as_json: bool) -> None:
    labels = {name: counts.by_label[name] for name in names}
    if as_json:
        screen.print_json(facts | {"labels": labels})
        return
    console = screen.out()
    rows = [(name, count, screen.percent(count / max(1, counts.total))) for name, count in labels.items()]
    console.print(screen.plain_table(["label", "tickets", "share"], rows))
    console.print(screen.mapping_lines({name.replace("_", " "): value for name, value in facts.items()}), markup=False)
