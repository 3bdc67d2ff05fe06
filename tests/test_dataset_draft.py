"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagdesk.dataset import write_tickets
from tagdesk.dataset.draft import draft, refuse_target
from tagdesk.errors import TagdeskError, UsageError
from tagdesk.ticket import Ticket


def test_nothing_is_there_before_the_end_and_all_of_it_after(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with draft(path) as handle:
        handle.write(b"hello")
        assert not path.exists()
    assert path.read_bytes() == b"hello"
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_has_the_rights_that_new_files_have(tmp_path: Path) -> None:
    with draft(tmp_path / "out.csv"):
        pass
    (tmp_path / "plain").touch()
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out.csv", "plain")]
    assert rights[0] == rights[1]


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, SystemExit, ValueError, OSError])
def test_a_broken_off_result_leaves_the_old_one(tmp_path: Path, trouble: type[BaseException]) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")

    def write_half() -> None:
        with draft(path, force=True) as handle:
            handle.write(b"half")
            raise trouble

    with pytest.raises(trouble):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def refusal(path: Path, *, force: bool = False, inputs: tuple[Path, ...] = ()) -> str:
    with pytest.raises(UsageError) as caught, draft(path, force=force, inputs=inputs):
        pytest.fail("the work began")
    return caught.value.code


def test_f20_a_result_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    assert refusal(path) == "exists"
    with draft(path, force=True) as handle:
        handle.write(b"new")
    assert path.read_bytes() == b"new"


def test_f20_a_result_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"

    def write_slowly() -> None:
        with draft(path) as handle:
            handle.write(b"mine")
            path.write_bytes(b"theirs")

    with pytest.raises(UsageError):
        write_slowly()
    assert path.read_bytes() == b"theirs"


def test_f20_what_is_read_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(b"text\n")
    (tmp_path / "link.csv").symlink_to(source)
    os.link(source, tmp_path / "hard.csv")
    for path in (source, tmp_path / "link.csv", tmp_path / "hard.csv", tmp_path / "." / "in.csv"):
        assert refusal(path, force=True, inputs=(source,)) == "same_file"
    assert source.read_bytes() == b"text\n"


def test_f20_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    places = [
        tmp_path / "folder",
        tmp_path / "none" / "x",
        tmp_path / "file" / "x",
        tmp_path / ("x" * 300),
        Path("a\0b"),
    ]
    assert [refusal(place, force=True) for place in places] == ["unwritable"] * 5
    assert refusal(Path(os.devnull), force=True) == "unwritable"
    with pytest.raises(UsageError, match="is a folder"):
        refuse_target(tmp_path / "folder", force=True)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with draft(tmp_path / "link.csv", force=True) as handle:
        handle.write(b"new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond this many bytes, as a full disk would."""
    import resource  # noqa: PLC0415 - of Unix only

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_f21_a_disk_that_is_full_at_any_byte_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    tickets = [Ticket(str(number), f"hello {number}", frozenset({"A"})) for number in range(12)]
    whole = tmp_path / f"whole.{suffix}"
    write_tickets(whole, tickets)
    size = whole.stat().st_size
    path = tmp_path / f"out.{suffix}"
    for room in range(0, size, 1 if size < 600 else 11):
        with room_for(room), pytest.raises(TagdeskError) as caught:
            write_tickets(path, tickets)
        assert (caught.value.code, caught.value.exit_code) == ("disk_full", 1)
        assert list(tmp_path.iterdir()) == [whole]
    with room_for(size):
        write_tickets(path, tickets)
    assert path.stat().st_size == size
