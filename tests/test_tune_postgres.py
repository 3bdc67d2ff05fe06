"""A study on a server, which several machines share."""

from __future__ import annotations

from typing import Any

import pytest

from tagdesk.errors import UsageError
from tagdesk.tune import Limits, open_study, search
from test_tune import plan_of, quick

pytest_plugins = ["test_store_fixtures"]
__all__ = ["quick"]  # a fixture


def test_two_machines_share_a_study_and_no_secret_is_told(server: Any) -> None:
    place, plan = server.create(), plan_of()
    with open_study(plan, place, "s") as one, open_study(plan, place, "s") as two:
        trial, parameters = two.ask()
        assert parameters["recipe"] == "linear"
        found = search(one, Limits(3, 600))
        two.study.tell(trial, 0.1)
        assert [row.state for row in two.rows()] == ["complete"] * 3
        assert len({str(row.parameters) for row in two.rows()}) == 3
    assert "?" not in found.study[1]
    with pytest.raises(UsageError, match="other seed"):
        open_study(plan_of(seed=4), place, "s")
