from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from help_desks import TEXT, site_of
from tagdesk.case import Case, sortable_id
from tagdesk.connectors import Tags
from tagdesk.connectors.sites import Site
from tagdesk.desk import Desk, Settings, write_back
from tagdesk.desk.borne import LONGEST_WRITE, Writings, to_tag
from tagdesk.desk.write_back import GIVEN_UP, WriteBack, note_of
from tagdesk.prediction import Decision, Prediction
from tagdesk.review import Review, Source
from tagdesk.store import Selection, Store
from test_connectors_help_desk import TAGS, Failure, failing, serving
from test_connectors_help_desk import Desk as HelpDesk

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
LABELS = ("Refund Request", "Billing Issue")


@dataclass
class Place:
    """A desk and a help desk."""

    desk: Desk
    server: HelpDesk
    site: Site
    outcomes: queue.Queue[str] = field(default_factory=queue.Queue)
    now: datetime = NOW

    def case(self, labels: tuple[str, ...] = LABELS) -> Case:
        """A case of ticket 7 that is in the store."""
        names = self.desk.live.model.taxonomy.names
        decisions = {name: Decision.SUGGEST if name in labels else Decision.NONE for name in names}
        said = Prediction(TEXT, labels, dict.fromkeys(names, 0.97), decisions, "m", "p")
        number = len(self.desk.store.cases.page(Selection("default")))
        made = Case(
            sortable_id(self.now, number.to_bytes(10)), "default", self.now, said, ticket="7", source=self.site.name
        )
        self.desk.store.cases.add([made])
        return made

    @contextmanager
    def at_work(self, *cases: Case, look_every: float = 60.0) -> Iterator[WriteBack]:
        """Somebody who writes back for the block, told of these cases before he begins."""
        found = WriteBack(self.desk, self.site, self.outcomes.put, look_every=look_every)
        for case in cases:
            found.add(case)
        found.start()
        try:
            yield found
        finally:
            found.close()

    def told(self, count: int = 1) -> list[str]:
        """What became of the next write-backs."""
        return [self.outcomes.get(timeout=30) for _ in range(count)]


@pytest.fixture(scope="module")
def store_and_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[datetime], Desk]]:
    clock = [NOW]
    with Store.open(tmp_path_factory.mktemp("desk") / "tagdesk.db") as store:
        desk = Desk(store, Settings(), clock=lambda: clock[0])
        yield clock, desk
        desk.close()


@pytest.fixture
def place(store_and_desk: tuple[list[datetime], Desk], tmp_path: Path) -> Iterator[Place]:
    clock, desk = store_and_desk
    clock[0] = NOW
    with serving(HelpDesk("zendesk")) as server:
        yield Place(desk, server, site_of(server, tmp_path.name.replace("_", "-").lower()[:60]))


@pytest.fixture
def later(store_and_desk: tuple[list[datetime], Desk]) -> Callable[[timedelta], None]:
    """Moves the desk's clock on."""

    def move(by: timedelta) -> None:
        store_and_desk[0][0] += by

    return move


def test_a_case_is_written_back_once_however_often_it_is_found(place: Place) -> None:
    case = place.case()
    with place.at_work(case, case, case):
        assert place.told() == ["written"]
    with place.at_work(case):
        pass
    assert (place.server.tags, len(place.server.notes)) == (["vip", *TAGS], 1)
    assert place.outcomes.empty()


def test_what_a_crash_left_in_memory_is_found_at_the_next_start(place: Place) -> None:
    place.case()  # logged, and nobody was told of it
    with place.at_work():
        assert place.told() == ["written"]
    assert place.server.tags == ["vip", *TAGS]


def test_what_does_not_fit_into_memory_is_found_in_the_store(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back, "MOST_WAITING", 1)
    cases = [place.case((label,)) for label in LABELS]
    with place.at_work(*cases) as working:
        assert place.told(2) == ["written"] * 2
        assert len(working) == 0
    assert sorted(place.server.tags) == sorted(["vip", *TAGS])


def test_what_a_crash_cut_in_the_midst_is_made_up_for_after_a_while(
    place: Place, later: Callable[[timedelta], None]
) -> None:
    case = place.case()
    assert Writings(place.desk.store, place.site, place.desk.now).claim(case)  # and then the process died
    with place.at_work(case, look_every=0.01):
        later(LONGEST_WRITE / 2)
        assert place.outcomes.empty()
        later(LONGEST_WRITE)
        assert place.told() == ["written"]
    assert place.server.tags == ["vip", *TAGS]


@pytest.mark.parametrize("failure", [failing(503, Retry_After="0"), failing(401), failing(403)])
def test_a_help_desk_that_is_away_is_left_alone_for_a_while_and_gets_its_tags_then(
    place: Place, failure: Failure
) -> None:
    cases = [place.case((label,)) for label in LABELS]
    place.server.failures = [failure] * 4
    with place.at_work(*cases):
        assert place.told() == ["away"]
        assert place.server.tags == ["vip"]
    tried = len(place.server.calls)
    place.server.failures.clear()
    with place.at_work():
        assert place.told(2) == ["written"] * 2
    assert sorted(place.server.tags) == sorted(["vip", *TAGS])
    assert tried in {1, 4}  # one case was tried, as often as patience says


def test_it_looks_again_by_itself(place: Place) -> None:
    place.server.failures = [failing(401)]
    with place.at_work(place.case(), look_every=0.01):
        assert place.told(2) == ["away", "written"]


@pytest.mark.parametrize("status", [404, 422])
def test_a_ticket_that_the_help_desk_refuses_holds_up_no_other(place: Place, status: int) -> None:
    place.server.failures = [failing(status)]
    with place.at_work(place.case(("Billing Issue",)), place.case(("Refund Request",))):
        assert place.told(2) == ["refused", "written"]
    with place.at_work():
        pass
    assert place.server.tags == ["vip", TAGS[1]]
    assert place.outcomes.empty()


def test_what_an_agent_corrected_meanwhile_is_left_alone(place: Place) -> None:
    earlier, newest = place.case(("Billing Issue",)), place.case(("Refund Request",))
    review = Review(newest.id, frozenset(), "agent", NOW, source=Source.HELP_DESK)
    place.desk.store.reviews.add([review], tenant="default")
    with place.at_work(earlier, newest):
        assert place.told(2) == ["overtaken"] * 2
    assert place.server.calls == []


def test_what_is_older_than_a_day_is_given_up(place: Place, later: Callable[[timedelta], None]) -> None:
    place.case()
    later(GIVEN_UP + timedelta(seconds=1))
    place.now = NOW + GIVEN_UP
    place.case(("Billing Issue",))
    with place.at_work():
        assert place.told() == ["written"]
    assert place.server.tags == ["vip", TAGS[0]]


def test_a_case_without_a_label_asks_nothing_of_the_help_desk(place: Place) -> None:
    with place.at_work(place.case(()), place.case()):
        assert place.told() == ["written"]
    assert len(place.server.notes) == 1


def test_only_sure_labels_are_tags_where_the_owner_wants_that(place: Place) -> None:
    place.site = replace(place.site, tag_from=Decision.AUTOMATE)
    case = place.case()
    assert to_tag(case, place.site) == frozenset()
    with place.at_work(case):
        assert place.told() == ["written"]
    assert (place.server.tags, len(place.server.notes)) == (["vip"], 1)


def test_a_note_can_be_left_out(place: Place) -> None:
    place.site = replace(place.site, has_note=False)
    with place.at_work(place.case()):
        assert place.told() == ["written"]
    assert (place.server.tags, place.server.notes) == (["vip", *TAGS], [])


def test_a_model_whose_labels_cannot_be_tags_writes_nothing(place: Place) -> None:
    place.site = replace(place.site, prefix="no tag ")
    with place.at_work(place.case()):
        assert place.told() == ["away"]
    assert place.server.calls == []


def test_the_note_says_what_and_how_sure_but_nothing_of_the_customer(place: Place) -> None:
    assert note_of(place.case()).splitlines() == [
        "tagdesk reads this message as:",
        "- Refund Request, 97%",
        "- Billing Issue, 97%",
        "Where that is wrong, change the tags.",
    ]


def test_tags_stand_for_labels(place: Place) -> None:
    tags = place.site.tags(place.desk.live.model.taxonomy.names)
    assert isinstance(tags, Tags)
    assert tags.tags_of(LABELS) == tuple(TAGS)
