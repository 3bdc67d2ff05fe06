"""`tagdesk serve` that may not start (M15), and `tagdesk keys`."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from command import process, refusal, tagdesk
from tagdesk.api.access import hash_of
from tagdesk.store import Store


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frobnicate"], "--frobnicate"),
        (["--within", "soon"], "--within"),
        (["--port", "70000"], "65535"),
        (["--host", "0.0.0.0"], "keys create"),  # noqa: S104 - it must refuse
        (["--help-desks", "none.toml"], "none.toml"),
        (["--store", "mysql://somewhere/x"], "postgresql"),
        (["--store", "."], "no plain file"),
    ],
)
def test_m15_settings_that_make_no_sense_end_the_start_with_one_line(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refusal(2, "serve", *options)


def test_m15_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = process("serve", "--port", str(port), "--store", tmp_path / "tagdesk.db")
        _, err = service.communicate(timeout=120)
    assert service.returncode == 2
    assert f"127.0.0.1:{port}" in err.decode().splitlines()[-1]
    assert b"Traceback" not in err


def test_keys_are_made_shown_and_revoked(tmp_path: Path) -> None:
    store = tmp_path / "tagdesk.db"
    made = tagdesk("keys", "create", "shop", "-s", "predict", "-s", "review", "--store", store)
    secret = made.out.strip()
    assert (made.code, secret[:3]) == (0, "td_")
    with Store.open(store) as opened:
        found = opened.keys.find(hash_of(secret))
    assert found is not None
    assert found.scopes == {"predict", "review"}
    assert secret.encode() not in store.read_bytes()
    assert tagdesk("keys", "revoke", "shop", "--store", store).code == 0
    (row,) = tagdesk("keys", "list", "--store", store, "--json").json
    assert (row["name"], row["scopes"], row["revoked"] is not None) == ("shop", ["predict", "review"], True)
    assert secret not in tagdesk("keys", "list", "--store", store).out
    assert "scope" in refusal(2, "keys", "create", "other", "-s", "everything", "--store", store)
    assert "no key of that name" in refusal(1, "keys", "revoke", "nobody", "--store", store)
