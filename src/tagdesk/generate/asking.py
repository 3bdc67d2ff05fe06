"""Tickets that a language model writes for planned labels, of which only those that keep to the plan are taken."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any, Final

from tagdesk.errors import InputError, UsageError
from tagdesk.generate.compose import Composer, Written
from tagdesk.generate.endpoint import Endpoint, ProviderError, estimated_tokens
from tagdesk.generate.seen import Seen
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import check_text, stored

AT_ONCE: Final = 10  # tickets in one request
_TOKENS_PER_TICKET: Final = 400  # of an answer, at most
_CHANCES: Final = 3  # times that one plan is given to the model
_FRUITLESS: Final = 3  # requests in a row without a usable ticket, after which the model is given up

_ORDER: Final = (
    "You write messages that customers send to a support desk, for testing a classifier. For each plan write one "
    "message that raises exactly the needs of its labels, in the customer's own words, and no other need; a plan "
    "without labels gets a message without any need, such as thanks, small talk or advertising. Keep to the channel "
    "and the domain. Vary length, tone and mistakes; invent all names and numbers; never name a label. Answer with "
    'JSON alone: {"tickets": [{"number": 1, "text": "...", "labels": ["..."]}]}, with one entry for each plan, its '
    "labels being those that your message truly raises."
)


@dataclass
class Asked:
    """How it went so far.

    Attributes:
        accepted: the tickets that came.
        requests: how often the model was asked.
        tokens: what was spent.
        unforeseen: by how many tokens a request took more than was reserved for it, at worst.
        rejected: what came and was not taken, by why.
        stopped: why fewer tickets came than were wanted, if so.
    """

    accepted: int = 0
    requests: int = 0
    tokens: int = 0
    unforeseen: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None


@dataclass(frozen=True)
class Author:
    """A language model that writes what a composer plans.

    Attributes:
        endpoint: where the model is.
        taxonomy: the labels, whose descriptions the model reads.
        composer: gives the labels, domain and channel of each ticket.
        words: the words of a text, by which nearly repeated tickets are told.
        budget: tokens of questions and answers that may be spent; None sets no limit.
        repeats: whether nearly repeated tickets are taken.
    """

    endpoint: Endpoint
    taxonomy: Taxonomy
    composer: Composer
    words: Callable[[str], frozenset[str]]
    budget: int | None = None
    repeats: bool = False

    def tickets(self, n: int, asked: Asked) -> Iterator[Written]:
        """Up to n tickets; `asked` is kept up to date meanwhile.

        Raises ProviderError where not even one came, and UsageError (`small_budget`) where the budget is why. When the
        budget is spent or the provider fails later, the tickets end and `asked.stopped` says why.
        """
        plans = map(self.composer.plan, count())
        queue: deque[tuple[Written, int]] = deque()
        seen = Seen(self.words)
        fruitless = 0
        while asked.accepted < n:
            most = min(AT_ONCE, n - asked.accepted)
            queue.extend((next(plans), 1) for _ in range(most - len(queue)))
            batch = self._batch(queue, most, asked)
            if not batch:
                self._end_of_budget(queue[0][0], asked)
                return
            try:
                entries = self._ask([plan for plan, _ in batch], asked)
            except ProviderError as error:
                if not asked.accepted:
                    raise
                asked.stopped = str(error).rstrip(".")
                return
            taken = 0
            for (plan, chance), entry in zip(batch, entries, strict=True):
                verdict = self._verdict(plan, entry, seen)
                if isinstance(verdict, Written):
                    taken += 1
                    asked.accepted += 1
                    yield verdict
                else:
                    asked.rejected[verdict] += 1
                    if chance < _CHANCES:
                        queue.append((plan, chance + 1))
            fruitless = 0 if taken else fruitless + 1
            if fruitless == _FRUITLESS:
                self._give_up(asked)
                return

    def _end_of_budget(self, plan: Written, asked: Asked) -> None:
        asked.stopped = f"the budget of {self.budget:,} tokens is spent"
        if not asked.accepted:
            raise UsageError(
                f"The budget of {self.budget:,} tokens is too small for a ticket: {asked.tokens:,} are spent, and the "
                f"next request may take {self._price([plan]) + asked.unforeseen:,}. Raise --budget-tokens.",
                code="small_budget",
            )

    def _give_up(self, asked: Asked) -> None:
        reasons = ", ".join(f"{times} {code}" for code, times in asked.rejected.most_common())
        asked.stopped = f"{_FRUITLESS} requests in a row gave no usable ticket (rejected so far: {reasons})"
        if not asked.accepted:
            raise ProviderError(f"The model wrote nothing usable: {reasons}. Use another --model.", code="bad_answer")

    def _batch(self, queue: deque[tuple[Written, int]], most: int, asked: Asked) -> list[tuple[Written, int]]:
        """Takes as many from the head of the queue as one request can hold within the budget, and `most` at most."""
        plans = [plan for plan, _ in islice(queue, most)]
        if self.budget is not None:
            left = self.budget - asked.tokens - asked.unforeseen
            while plans and self._price(plans) > left:
                plans.pop()
        return [queue.popleft() for _ in plans]

    def _price(self, plans: Sequence[Written]) -> int:
        """The tokens that a request takes at most, as far as its question can be estimated."""
        return estimated_tokens(self._messages(plans)) + _TOKENS_PER_TICKET * len(plans)

    def _ask(self, plans: Sequence[Written], asked: Asked) -> list[Any]:
        """An entry of the answer for each plan; None where there is none."""
        asked.requests += 1
        reply = self.endpoint.ask(self._messages(plans), most_tokens=_TOKENS_PER_TICKET * len(plans))
        asked.tokens += reply.tokens
        asked.unforeseen = max(asked.unforeseen, reply.tokens - self._price(plans))
        return _entries(reply.text, len(plans))

    def _messages(self, plans: Sequence[Written]) -> list[dict[str, str]]:
        task = {
            "rules": self.taxonomy.rules,
            "labels": [
                {"name": label.name, "description": label.description, "gives": label.gives, "not_for": label.not_for}
                for label in self.taxonomy.labels
            ],
            "plans": [
                {"number": number, "labels": plan.labels, "domain": plan.domain, "channel": plan.channel}
                for number, plan in enumerate(plans, 1)
            ],
        }
        return [
            {"role": "system", "content": _ORDER},
            {"role": "user", "content": json.dumps(task, ensure_ascii=False)},
        ]

    def _verdict(self, plan: Written, entry: Any, seen: Seen) -> Written | str:
        """The ticket, or in a word why it is not taken."""
        flaw = self._flaw(plan, entry)
        if flaw:
            return flaw
        try:
            check_text(entry["text"])
            text = stored(entry["text"]).strip()
        except InputError as error:
            return error.code
        return replace(plan, text=text) if self.repeats or seen.add(text) else "repeated"

    def _flaw(self, plan: Written, entry: Any) -> str | None:
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            return "no_ticket"
        labels = entry.get("labels")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            return "no_labels"
        if self.taxonomy.unknown(labels):
            return "unknown_label"
        return None if set(labels) == set(plan.labels) else "other_labels"


def _entries(answer: str, wanted: int) -> list[Any]:
    """The entries of an answer by their number, (wanted,); None for a number that is missing."""
    start, end = answer.find("{"), answer.rfind("}")  # some models put their JSON between marks
    try:
        document = json.loads(answer[start : end + 1])
        entries = document["tickets"]
        by_number = {entry.get("number"): entry for entry in reversed(entries) if isinstance(entry, dict)}
        return [by_number.get(number) for number in range(1, wanted + 1)]
    except (ValueError, RecursionError, LookupError, TypeError):
        return [None] * wanted
