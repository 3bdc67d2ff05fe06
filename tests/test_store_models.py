from dataclasses import replace

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import FoundModel
from test_store_fixtures import HOUR, NOW

pytest_plugins = ["test_store_fixtures"]

ORIGIN = {"recipe": {"kind": "probe", "c": 0.5}, "tickets": 60, "odd": "a\0b\ud800"}
MODEL = FoundModel("0123456789ab", "probe", "fedcba987654", NOW, ORIGIN)


def test_model_comes_back_as_it_was_found(store):
    store.models.add([MODEL])
    assert store.models.all() == [MODEL]
    assert store.models.of(["no", MODEL.id]) == [None, MODEL]


def test_model_that_is_found_again_stays_as_it_was_first_seen(store):
    store.models.add([MODEL])
    later = replace(MODEL, seen=NOW + HOUR, origin={})
    store.models.add([later, replace(later, id="b")])
    assert [(found.id, found.seen) for found in store.models.all()] == [(MODEL.id, NOW), ("b", NOW + HOUR)]
    store.models.add([])


def test_export_of_everything_tells_of_the_models(store):
    store.models.add([MODEL])
    assert list(store.export()) == [{"record": "model", **MODEL.to_dict()}]


@pytest.mark.parametrize("change", [{"id": ""}, {"kind": "k" * 201}, {"taxonomy": "a\0"}])
def test_value_that_no_database_holds_is_refused(store, change):
    with pytest.raises(UsageError):
        store.models.add([replace(MODEL, **change)])
