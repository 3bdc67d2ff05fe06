import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Conflict, ExperimentVersion
from test_store_fixtures import NOW

pytest_plugins = ["test_store_fixtures"]


def version(number, name="trial", **definition):
    return ExperimentVersion(name, number, definition, "ada", NOW)


def test_experiment_keeps_all_its_versions(store):
    first, second = version(1, shares={"a": 0.5}), version(2, shares={"a": 0.9})
    store.experiments.add(first)
    store.experiments.add(second)
    assert store.experiments.get("trial") == second
    assert store.experiments.history("trial") == [first, second]


def test_unknown_experiment_is_none(store):
    assert store.experiments.get("trial") is None
    assert store.experiments.history("trial") == []


@pytest.mark.parametrize("number", [0, 1, 3])
def test_only_the_next_version_may_be_written(store, number):
    store.experiments.add(version(1))
    with pytest.raises(Conflict, match="another last version"):
        store.experiments.add(version(number, share=1))
    assert store.experiments.history("trial") == [version(1)]


def test_newest_holds_each_experiment_once(store):
    for written in (version(1), version(1, "other"), version(2, running=True)):
        store.experiments.add(written)
    assert store.experiments.newest() == [version(1, "other"), version(2, running=True)]


def test_name_or_number_that_no_database_holds_is_refused(store):
    for bad in (version(1, ""), version(1, "a\0"), version(2**63), version(-1)):
        with pytest.raises(UsageError):
            store.experiments.add(bad)
