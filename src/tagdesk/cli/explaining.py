"""How explanations look on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from tagdesk.cli import screen
from tagdesk.errors import UsageError
from tagdesk.explain import DECIDES, Contribution, Explanation, Reason
from tagdesk.explaining import explain
from tagdesk.explaining.nearest import MOST, Neighbour, build_index, nearest
from tagdesk.model import Model
from tagdesk.prediction import Prediction

MARKED = 3  # words of each label that are marked in the ticket, at most
NOTEWORTHY = 0.2  # of the strongest word's weight: what a marked one has at least
NAMED = 5  # words for a label that are named under it, and as many against it
LEAST = 0.05  # of a weight that is printed with one digit
LONGEST = 600  # characters of a ticket that are printed whole
AROUND = 60  # characters on either side of a marked word that are printed of longer ones
SHORT = 40  # characters of a group of words that are named
MANY = 1_000  # tickets that are explained at once; more would take an hour
DECISIVE = "bold green"


def explain_predictions(
    model: Model,
    predictions: Sequence[Prediction],
    *,
    like: Path | None = None,
    most_like: int = MOST,
    as_json: bool = False,
) -> None:
    """Print predictions with the words that speak for and against their labels.

    Args:
        model: has made the predictions.
        predictions: at most `MANY`; raises UsageError for more.
        like: a file of labelled tickets; the nearest ones are printed below each prediction.
        most_like: tickets of that file that are read.
        as_json: as one JSON value.
    """
    if len(predictions) > MANY:
        raise UsageError(f"{len(predictions):,} tickets; at most {MANY:,} are explained at once.", code="too_long")
    neighbours: list[list[Neighbour]] | None = None
    with screen.progress() as report:
        explanations = explain(model, predictions, progress=report)
        if like is not None:
            from tagdesk.cli import reading  # noqa: PLC0415 - explanations do without it
            from tagdesk.dataset import Columns  # noqa: PLC0415 - the same

            tickets = reading.read(reading.File(like, Columns(unit="", time=""))).tickets
            if len(tickets) > most_like:
                screen.note(f"{like} holds {len(tickets):,} tickets; a random {most_like:,} are compared.")
            index = build_index(model, tickets, most=most_like, progress=report)
            neighbours = nearest([prediction.text for prediction in predictions], index)
    print_explanations(predictions, explanations, neighbours, as_json=as_json)


def print_explanations(
    predictions: Sequence[Prediction],
    explanations: Sequence[Explanation],
    neighbours: Sequence[Sequence[Neighbour]] | None = None,
    *,
    as_json: bool = False,
) -> None:
    """Print predictions with their explanations, and with their nearest tickets where there are any looked for."""
    likes: Sequence[Sequence[Neighbour] | None] = [None] * len(predictions) if neighbours is None else neighbours
    rows = list(zip(predictions, explanations, likes, strict=True))
    if as_json:
        screen.print_json([_as_json(*row) for row in rows])
        return
    console = screen.out()
    is_plain = console.color_system is None
    for place, (prediction, explanation, like) in enumerate(rows):
        if place:
            console.print()
        console.print(marked(explanation, is_plain=is_plain))
        if not prediction.labels:
            console.print(screen.labels_cell(prediction))
        for reason in explanation.reasons:
            console.print(reason_lines(reason))
        if explanation.is_coarse:
            console.print(Text("A long ticket: words were looked at in groups, or in a part of it.", style="dim"))
        for neighbour in like or ():
            console.print(neighbour_line(neighbour))


def marked(explanation: Explanation, *, is_plain: bool) -> Text:
    """The ticket with the words marked that speak most for its labels; of a long one, what stands around them.

    Args:
        explanation: of the ticket.
        is_plain: brackets take the place of bold type.
    """
    text = explanation.text
    strong = {
        (word.start, word.end)
        for reason in explanation.reasons
        for word in reason.speaking_for[:MARKED]
        if word.weight >= max(DECIDES, NOTEWORTHY * reason.speaking_for[0].weight)
    }
    line, place = Text(), 0
    for first, last in _excerpts(len(text), sorted(strong)):
        if first > place:
            line.append("… ")
        place = first
        for start, end in sorted(span for span in strong if first <= span[0] and span[1] <= last):
            line.append(_safe(text[place:start]))
            word = _safe(text[start:end])
            line.append(f"[{word}]" if is_plain else word, style=None if is_plain else DECISIVE)
            place = end
        line.append(_safe(text[place:last]))
        place = last
    if place < len(text):
        line.append(" …")
    return line


def reason_lines(reason: Reason) -> Text:
    """A label with its probability, and below it the words that speak for it and against it."""
    found = Text(f"{screen.visible(reason.label)} {screen.percent(reason.score)}\n", style="bold")
    if not reason.has_deciding_word:
        return found.append("  no single word decides", style="dim")
    sides = {"because of": _named(reason.speaking_for), "against": _named(reason.speaking_against)}
    return found.append(
        "  " + "; ".join(f"{side}: {words}" for side, words in sides.items() if words), style="not bold"
    )


def neighbour_line(neighbour: Neighbour) -> Text:
    """A ticket that is like the one above, with its labels."""
    labels = ", ".join(sorted(neighbour.ticket.labels or ())) or "no label"
    copies = f", {neighbour.copies} times" if neighbour.copies > 1 else ""
    said = f"  like ({neighbour.similarity:.2f}{copies}; {screen.visible(labels)}): "
    return Text(said, style="dim").append_text(screen.safe(neighbour.ticket.text))


def _as_json(prediction: Prediction, explanation: Explanation, like: Sequence[Neighbour] | None) -> dict[str, Any]:
    found = prediction.to_dict() | {"explanation": explanation.to_dict()}
    return found if like is None else found | {"nearest": [one.to_dict() for one in like]}


def _named(words: Sequence[Contribution]) -> str:
    """The strongest words, each with its weight, but none whose weight rounds to nothing."""
    told = [f"{_short(word.text)} ({word.weight:+.1f})" for word in words[:NAMED] if abs(word.weight) >= LEAST]
    return ", ".join(told)


def _short(text: str) -> str:
    line = _safe(text)
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _safe(text: str) -> str:
    """A stretch of a ticket on one line, without anything that could act on a terminal; blanks at its ends stay."""
    one_line = " ".join(screen.visible(" ".join(part.split())) for part in text.splitlines()).strip()
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and one_line else ""
    return f"{before}{one_line}{after}"


def _excerpts(length: int, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches of a text to print: all of it, or what stands around some spans; its beginning where none are."""
    if length <= LONGEST:
        return [(0, length)]
    found: list[tuple[int, int]] = []
    for start, end in spans or [(0, LONGEST - AROUND)]:
        first, last = max(0, start - AROUND), min(length, end + AROUND)
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
