"""Lets a reviewer attack a retraining and says what its two guards stop: the vetting of corrections, and the gate.

Of the project's own tickets 3,000 are the base set, and the model that answers is fitted to them. It labels 1,500
others, which five people review; four of them are honest. The fifth turns the true labels of some cases: refunds into
bills, or answers at random. The golden set is the test part, of trades that no other ticket comes from.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np

from own import own_rows
from tables import publish, table
from tagdesk.measure import judge_tickets
from tagdesk.model import Model
from tagdesk.prediction import Prediction
from tagdesk.retrain import Lessons, Retrained, retrain
from tagdesk.scorers import Recipe, named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import support_taxonomy, train
from tagdesk.trust import Lesson, vet

BASE, CASES, EACH = 3_000, 1_500, 300  # tickets, cases, cases of one reviewer
HONEST, EVE, MALLORY = ("ada", "bob", "cleo", "dan"), "eve", "mallory"
TARGET, INSTEAD = "Refund Request", "Billing Issue"
RECIPE = named_recipes()["linear"].changed(
    {"char_ngrams": 0, "folds": 2}
)  # a third of the time; what counts are guards
COLUMNS = (
    *("attack", "vetting", "turned", "turned that teach", "honest corrections", "honest held back"),
    *("macro F1, live", "macro F1, candidate", "loss of macro F1", "lost to the attack"),
    *(f"F1 of {TARGET}, live", f"F1 of {TARGET}, candidate", "blocked"),
)
MAY = datetime(2026, 5, 1, tzinfo=UTC)

Labels: TypeAlias = frozenset[str]
Turn: TypeAlias = Callable[[Labels, np.random.Generator], Labels]


def into_bill(true: Labels, _rng: np.random.Generator) -> Labels:
    """A refund is called a bill."""
    return true - {TARGET} | {INSTEAD}


def at_random(true: Labels, rng: np.random.Generator) -> Labels:
    """One answer is turned, whichever."""
    return true ^ {str(rng.choice(support_taxonomy().names))}


@dataclass(frozen=True, slots=True)
class Attack:
    """What Eve does.

    Attributes:
        name: in words.
        share: of all cases, that she turns; she picks them.
        turn: what she makes of the true labels.
        is_hidden: she takes what comes, and turns as many as are not found odd.
        is_confirmed: Mallory says the same.
    """

    name: str
    share: float = 0.0
    turn: Turn = into_bill
    is_hidden: bool = False
    is_confirmed: bool = False


ATTACKS = (
    Attack("none"),
    *(Attack(f"refunds into bills, {share:.0%}", share) for share in (0.05, 0.1, 0.2)),
    Attack("at random, 10%", 0.1, at_random),
    Attack("refunds into bills, as many as are not found odd", is_hidden=True),
    *(Attack(f"refunds into bills, {share:.0%}, by two", share, is_confirmed=True) for share in (0.05, 0.1, 0.2)),
)


def main() -> None:
    """Attack with the vetting and without; write results/retraining.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    runs: list[dict[str, Any]] = []
    for seed in range(seeds):
        runs += attacked(RECIPE.changed({"seed": seed}))
    rows = rows_of(runs)
    about = (
        f"Recipe linear on words, two folds; medians over {seeds} seeds. A loss below 0 is a gain over the model that "
        "answered; what is lost to the attack is held against the candidate of honest reviews alone."
    )
    publish("retraining", {"rows": rows, "runs": runs}, [about, "", *table(rows, {name: name for name in COLUMNS})])


def attacked(recipe: Recipe) -> list[dict[str, Any]]:
    """A run for every attack on one model."""
    order = np.random.default_rng(recipe.seed).permutation(len(own_rows("train")))
    rows = own_rows("train")
    drawn, golden = [_ticket(rows[place]) for place in order], [_ticket(row) for row in own_rows("test")]
    live = train(drawn[:BASE], recipe, taxonomy=support_taxonomy()).model
    before = judge_tickets(live, golden).report(live.taxonomy.names).per_label[TARGET].f1
    runs: list[dict[str, Any]] = []
    for attack in ATTACKS:
        cases, lessons = reviewed(attack, drawn[BASE:], live, np.random.default_rng(recipe.seed))
        for trusted in (frozenset[str](), frozenset({EVE, *HONEST})):
            found = retrain(drawn[:BASE], _taught(cases, lessons), live, recipe, golden=golden, trusted=trusted)
            run = {"attack": attack.name, "vetting": "no" if trusted else "yes", "seed": recipe.seed}
            run |= counted(found, cases, lessons)
            honest = (runs or [run])[0]["macro F1, candidate"]
            run |= {"lost to the attack": honest - run["macro F1, candidate"], f"F1 of {TARGET}, live": before}
            runs.append(run)
            print(run, flush=True)
            if not found.vetted.waiting:  # without the vetting it would be the same
                runs.append(run | {"vetting": "no"})
                break
    return runs


def reviewed(
    attack: Attack, pool: Sequence[Ticket], live: Model, rng: np.random.Generator
) -> tuple[list[Ticket], list[Lesson]]:
    """The cases with their true labels, and what was found of them; Eve's come first."""
    turned = round(attack.share * CASES)
    wanted = [one for one in pool if attack.turn is not into_bill or TARGET in (one.labels or ())][:turned]
    picked = {one.id for one in wanted}
    cases = [*wanted, *(one for one in pool if one.id not in picked)][:CASES]
    hers = max(EACH, turned * 4 // 3)  # she is honest in a fourth of her cases at the least
    said = live.predict([one.text for one in cases])
    lessons = [
        _lesson(one, prediction, one.labels or frozenset(), (EVE,) if place < hers else (HONEST[place % 4],), place)
        for place, (one, prediction) in enumerate(zip(cases, said, strict=True))
    ]
    refunds = [place for place in range(hers) if TARGET in lessons[place].found]
    for place in refunds if attack.is_hidden else range(turned):
        who = (EVE, MALLORY) if attack.is_confirmed else (EVE,)
        honest, found = lessons[place], attack.turn(lessons[place].found, rng)
        lessons[place] = _lesson(cases[place], said[place], found, who, place)
        if attack.is_hidden and any(mass.reviewer == EVE for mass in vet(lessons, others=BASE).masses):
            lessons[place] = honest
            break
    return cases, lessons


def counted(found: Retrained, cases: Sequence[Ticket], lessons: Sequence[Lesson]) -> dict[str, Any]:
    """What was turned, what was held back, and what came of it."""
    turned = {
        place for place, (one, lesson) in enumerate(zip(cases, lessons, strict=True)) if lesson.found != one.labels
    }
    corrected = {place for place, lesson in enumerate(lessons) if lesson.changes} - turned
    macro, exact = (verdict.difference for verdict in found.verdicts)
    return {
        "turned": len(turned),
        "turned that teach": len(turned - set(found.vetted.waiting)),
        "honest corrections": len(corrected),
        "honest held back": len(corrected & set(found.vetted.waiting)),
        "macro F1, live": macro.current,
        "macro F1, candidate": macro.challenger,
        "loss of macro F1": -(macro.value or 0.0),
        "loss of exact match": -(exact.value or 0.0),
        f"F1 of {TARGET}, candidate": found.trained.report.per_label[TARGET].f1,
        "blocked": not found.is_fit,
        "against": list(found.against),
    }


def rows_of(runs: Sequence[dict[str, Any]]) -> list[dict[str, object]]:
    """A row for each attack with the vetting, and one without where that differs."""
    rows: list[dict[str, object]] = []
    for kind in dict.fromkeys((run["attack"], run["vetting"]) for run in runs):
        alike = [run for run in runs if (run["attack"], run["vetting"]) == kind]
        row: dict[str, object] = {"attack": kind[0], "vetting": kind[1]}
        row |= {name: statistics.median(run[name] for run in alike) for name in COLUMNS if name not in row}
        row["blocked"] = f"{sum(run['blocked'] for run in alike)} of {len(alike)}"
        if not rows or row | {"vetting": "yes"} != rows[-1]:
            rows.append(row)
    return rows


def _ticket(row: dict[str, Any]) -> Ticket:
    return Ticket(row["id"], row["text"], frozenset(row["labels"]))


def _lesson(one: Ticket, said: Prediction, found: Labels, who: tuple[str, ...], minute: int) -> Lesson:
    return Lesson(one.id, said.scores, frozenset(said.labels), found, who, MAY + timedelta(minutes=minute))


def _taught(cases: Sequence[Ticket], lessons: Sequence[Lesson]) -> Lessons:
    tickets = tuple(Ticket(one.id, one.text, lesson.found) for one, lesson in zip(cases, lessons, strict=True))
    return Lessons(tuple(lessons), tickets, 0, 0)


if __name__ == "__main__":
    main()
