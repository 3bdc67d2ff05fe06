"""Tickets composed from a phrase book."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle

import pytest

from tagdesk.dataset import near_duplicate_groups
from tagdesk.errors import InputError, UsageError
from tagdesk.generate import Composer, PhraseBook, Written, support_phrases
from tagdesk.generate.noise import with_fillers, with_typos, without_punctuation
from tagdesk.generate.phrase import Phrase
from tagdesk.generate.places import SHARES, Combinations, Walk
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import check_text
from tagdesk.train import support_taxonomy

SMALL = """
asides = ["I live in the town of {city}.", "My mother is {age} years old."]
nothing = ["Thank you all for the {thing}."]

[needs]
Billing = ["Why was {amount} taken from my card?", "The invoice for my {thing} is missing."]
Shipping = ["Where is the {thing} that I ordered?"]

[slots]
city = ["Cork"]
age = ["70"]
amount = ["#.99"]

[[situation]]
domain = "light"
thing = ["lamp"]

[[channel]]
name = "chat"
"""


def composed(n: int, seed: int = 0, **options: bool) -> list[Written]:
    return list(Composer(support_phrases(), seed=seed, **options).tickets(n))


def said(phrase: Phrase) -> re.Pattern[str]:
    """A pattern of all that a phrase can say."""
    ways = [
        "(?:" + "|".join("".join(_plain(piece) for piece in way) for way in part.ways) + ")"
        if hasattr(part, "ways")
        else _plain(part)
        for part in phrase.parts
    ]
    return re.compile("".join(ways))


def _plain(piece: object) -> str:
    return re.escape(piece) if isinstance(piece, str) else "[^\n]{1,60}?"


def without_noise(book: PhraseBook) -> PhraseBook:
    rates = dict.fromkeys(["typo", "lower", "upper", "unpunctuated", "emoji", "filler", "quote"], 0.0)
    return replace(book, channels=tuple(replace(channel, **rates) for channel in book.channels))


def test_the_same_seed_gives_the_same_tickets_and_another_seed_others() -> None:
    assert composed(300) == composed(300)
    assert not {ticket.text for ticket in composed(300)} & {ticket.text for ticket in composed(300, seed=1)}


def test_fewer_tickets_are_the_first_of_more_and_any_can_be_made_alone() -> None:
    composer = Composer(support_phrases(), seed=3)
    tickets = list(composer.tickets(500))
    assert list(composer.tickets(200)) == tickets[:200]
    assert list(composer.tickets(500, start=450)) == tickets[450:]
    assert composer.ticket(321) == tickets[321]


def test_a_ticket_raises_its_labels_and_no_other() -> None:
    book = without_noise(support_phrases())
    patterns = [(label, said(need)) for label, needs in book.needs.items() for need in needs]
    for ticket in Composer(book, seed=1).tickets(300):
        found = {label for label, pattern in patterns if pattern.search(ticket.text)}
        assert found == set(ticket.labels), ticket


def test_every_label_occurs_as_often_and_sizes_keep_their_shares() -> None:
    tickets = composed(2100)
    sizes = Counter(len(ticket.labels) for ticket in tickets)
    assert [sizes[size] for size in range(4)] == [21 * share for share in SHARES]
    times = Counter(label for ticket in tickets for label in ticket.labels)
    assert set(times) == set(support_taxonomy().names)
    assert max(times.values()) - min(times.values()) <= 20
    assert len(Counter(ticket.labels for ticket in tickets)) == 1 + 7 + 21 + 35


def test_tickets_have_a_text_an_id_of_their_own_and_every_channel_and_domain() -> None:
    book = support_phrases()
    tickets = composed(3000)
    assert len({ticket.id for ticket in tickets}) == len({ticket.text for ticket in tickets}) == 3000
    assert {ticket.channel for ticket in tickets} == {channel.name for channel in book.channels}
    assert {ticket.domain for ticket in tickets} == {situation.domain for situation in book.situations}
    for ticket in tickets:
        assert check_text(ticket.text).text
        assert not re.search(r"[{}\[\]#]{2}|\{|\}", ticket.text), ticket.text


def test_no_two_tickets_say_nearly_the_same() -> None:
    texts = [ticket.text for ticket in composed(6000, seed=5)]
    assert len(set(near_duplicate_groups(texts).tolist())) == 6000


def test_a_walk_meets_every_combination_once() -> None:
    space = Combinations([3, 4], [8, 9], range(5), key="key")
    places = [space.at(rank, wrap=False) for rank in range(space.capacity)]
    assert len(set(places)) == space.capacity == 12 * (1 + 2 + 10)
    assert {len(asides) for _, asides in places} == {0, 1, 2}
    assert {asides for _, asides in places if len(asides) == 1} == {(8,), (9,)}
    with pytest.raises(IndexError):
        space.at(space.capacity, wrap=False)


def test_a_walk_within_its_capacity_repeats_nothing() -> None:
    walk = Walk({"A": 30, "B": 20, "C": 25}, 40, 6, seed=2)
    places = [walk.at(index) for index in range(walk.capacity)]
    assert walk.capacity >= 900
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_ends_where_the_first_label_set_runs_out_and_not_before(seed: int) -> None:
    walk = Walk({"A": 3, "B": 3, "C": 3}, 5, 0, seed=seed)
    places = [walk.at(index) for index in range(walk.capacity)]
    assert len(set(places)) == len(places) > 0
    held = {0: 5, 1: 3, 2: 9, 3: 27}  # combinations of a label set by its size
    times = Counter(place.labels for place in places)
    assert any(times[labels] == held[len(labels)] for labels in times)
    with pytest.raises(IndexError):
        walk.at(walk.capacity)


def test_hundreds_of_labels_are_walked_without_listing_all_their_sets() -> None:
    walk = Walk({f"L{number}": 3 for number in range(400)}, 40, 10, seed=0)
    places = [walk.at(index) for index in range(walk.capacity)]
    assert len(set(places)) == len(places)
    assert len({label for place in places for label in place.labels}) == 400
    assert all(len(set(place.labels)) == len(place.labels) for place in places)


def test_an_exhausted_book_says_so_at_once_and_repeats_only_when_allowed() -> None:
    book = PhraseBook.from_toml(SMALL)
    composer = Composer(book, seed=0)
    with pytest.raises(UsageError, match="--allow-repeats") as caught:
        composer.tickets(composer.capacity + 1)
    assert caught.value.code == "exhausted"
    assert len(list(Composer(book, seed=0, repeats=True).tickets(5000))) == 5000


def test_memory_does_not_grow_with_the_number_of_tickets() -> None:
    composer = Composer(support_phrases(), seed=0)
    assert len(list(composer.tickets(10_000))) == 10_000  # what is made on first use is made
    tracemalloc.start()
    for _ in composer.tickets(20_000, start=10_000):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000  # Python's own store of freed tuples; the tickets together take 6 MB


def test_a_book_of_one_label_and_one_sentence_composes() -> None:
    book = PhraseBook.from_toml(SMALL).covering(Taxonomy.of(["Shipping"]))
    tickets = list(Composer(book, seed=0, repeats=True).tickets(200))
    assert {ticket.labels for ticket in tickets} == {(), ("Shipping",)}
    assert all(("Where is the lamp that I ordered?" in ticket.text) == bool(ticket.labels) for ticket in tickets)


def test_the_shipped_book_is_rich_and_covers_the_shipped_taxonomy() -> None:
    book = support_phrases().covering(support_taxonomy())
    assert book.labels == support_taxonomy().names
    assert all(len(needs) >= 25 for needs in book.needs.values())
    assert len(book.situations) >= 15
    assert len(book.nothing) >= 30
    assert Composer(book, seed=0).capacity > 1_000_000


def test_the_slot_of_a_ticket_is_filled_with_one_word() -> None:
    phrase = Phrase.of("[a|b {thing}] and {thing}[|!]")
    assert phrase.slots == {"thing"}
    assert phrase.say(lambda: 0.9, lambda slot: slot.upper()) == "b THING and THING!"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", 0),
        ("[|Thank you very much]", 0),
        ("Where [is|has gone] my {thing}[| today]?", 4),
        ("I[ am|'m] {city}[ |]bound", 2),
        ("[a b|{thing}] [c d|]", 1),
    ],
)
def test_the_shortest_reading_of_a_phrase_is_counted(source: str, words: int) -> None:
    assert Phrase.of(source).fewest_words == words


@pytest.mark.parametrize("source", ["a [b", "a b]", "a {Thing}", "a {}", "[a [b]]", "{thing"])
def test_an_odd_bracket_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="odd bracket"):
        Phrase.of(source)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("{amount}", "{amuont}", "unknown slot 'amuont'"),
        ("asides =", "aside =", "unknown key 'aside'"),
        ('nothing = ["Thank you all for the {thing}."]', "", "`nothing` is empty"),
        ('Shipping = ["Where is the {thing} that I ordered?"]', "Shipping = []", "'Shipping' has no sentences"),
        ('["Where is the {thing} that I ordered?"]', '"text"', "must be a list of texts"),
        ("Where is the {thing} that I ordered?", "Where?", "too short"),
        ("Where is the {thing} that I ordered?", "[|Where is the {thing} now]", "too short"),
        ("asides =", 'solved = ["All [|of it ]is well."]\nasides =', "too short"),
        ('domain = "light"', "", "no `domain`"),
        ('name = "chat"', 'name = "chat"\ntypo = 2', "rates from 0 to 1"),
        ('name = "chat"', 'name = "chat"\ntypos = 1', "unknown key 'typos'"),
        ('name = "chat"', 'name = "chat"\nshare = 0', "shares of all channels"),
        ('name = "chat"', 'name = "chat"\nbetween = 1', "must be text"),
        ('[[channel]]\nname = "chat"', "", "no [[channel]] tables"),
        ('city = ["Cork"]', "city = []", "'city' has no words"),
        ('city = ["Cork"]', 'city = ["Cork", " "]', "'city' has no words or an empty one"),
        ('thing = ["lamp"]', 'thing = [""]', "'thing' of the situation 'light' has no words or an empty one"),
        ('city = ["Cork"]', 'city = ["Cork"]\nthing = ["x"]', "in a situation"),
        ('thing = ["lamp"]', 'thing = ["lamp", "lamp"]', "twice"),
        ("[needs]", "[need]", "unknown key 'need'"),
        ("[needs]", "[needs", "not valid TOML"),
        ("Billing =", '"Bill|ing" =', "separate labels"),
        ("{amount}", "{plan}", "unknown slot"),
    ],
)
def test_a_wrong_book_is_refused_by_name(old: str, new: str, complaint: str) -> None:
    assert old in SMALL
    with pytest.raises(InputError, match=re.escape(complaint)) as caught:
        PhraseBook.from_toml(SMALL.replace(old, new), "mine.toml")
    assert str(caught.value).startswith("mine.toml")


def test_words_that_may_meet_must_be_known_in_one_situation() -> None:
    apart = SMALL.replace("Where is the {thing}", "Where is the {plan}").replace(
        "[[channel]]", '[[situation]]\ndomain = "b"\nplan = ["x"]\n[[channel]]'
    )
    with pytest.raises(InputError, match="Let one have them all"):
        PhraseBook.from_toml(apart)


def test_a_link_may_have_a_slot_that_some_situations_lack() -> None:
    book = PhraseBook.from_toml("""
links = ["And about the {thing} too:"]
nothing = ["A merry day to all of you."]
[needs]
A = ["I was charged twice this month."]
B = ["My parcel never came to me."]
[[situation]]
domain = "light"
thing = ["lamp"]
[[situation]]
domain = "bare"
[[channel]]
name = "chat"
""")
    tickets = list(Composer(book, seed=0, repeats=True).tickets(300))
    assert {ticket.domain for ticket in tickets} == {"light", "bare"}
    assert any("And about the lamp too:" in ticket.text for ticket in tickets)


def test_a_label_without_sentences_is_named() -> None:
    with pytest.raises(InputError, match="says nothing for 'Zebra'"):
        support_phrases().covering(Taxonomy.of(["Billing Issue", "Zebra"]))


def draws(*numbers: float) -> Callable[[], float]:
    """A chance that gives these numbers in turn."""
    return cycle(numbers).__next__


def test_typos_keep_words_numbers_and_most_letters() -> None:
    text = (
        "The invoice INV-2044 over 24.90 euros for Amsterdam was charged yesterday, please explain at help@example.com"
    )
    for chance in (0.0, 0.3, 0.5, 0.7, 0.99):
        noisy = with_typos(text, draws(chance, 0.2, 0.8))
        assert noisy != text or chance == 0.5
        pairs = list(zip(text.split(), noisy.split(), strict=True))
        assert sum(old != new for old, new in pairs) <= 2
        for old, new in pairs:
            assert abs(len(old) - len(new)) <= 1
            assert (old[0], old[-1]) == (new[0], new[-1])
            assert old == new or old.islower()
    assert with_typos("24.90 EUR", draws(0.5)) == "24.90 EUR"


def test_noise_leaves_the_words_in_order() -> None:
    text = "Hi, it's 4.50 too much. Why?"
    assert without_punctuation(text) == "Hi its 4.50 too much Why"
    spoken = with_fillers(text, ["um"], draws(0.05, 0.9))
    assert "um," in spoken
    assert [word for word in spoken.split() if word != "um,"] == text.split()
    assert with_fillers(text, [], draws(0.0)) == text


def test_noise_leaves_most_words_of_every_ticket() -> None:
    book = support_phrases()
    for ticket in Composer(book, seed=4).tickets(300):
        found = _letters(ticket.text)
        for label in ticket.labels:
            fixed = [
                _letters(" ".join(part for part in need.parts if isinstance(part, str))) for need in book.needs[label]
            ]
            assert max(len(words & found) / len(words) for words in fixed if words) >= 0.6, ticket


def _letters(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower().replace("'", "")))
