"""`tagdesk` itself, `tagdesk predict`, and how they behave as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command import SPEECH, process, refusal, tagdesk
from tagdesk.cli import run, screen
from tagdesk.cli.commands import _HOMES
from tagdesk.model import Model
from tagdesk.prediction import Decision, Prediction

TEXT = "my card was charged twice"


@pytest.fixture(scope="session")
def tiny_model(saved: Path, models: dict[str, Model]) -> str:
    return str(saved / models["linear"].id)


def test_the_starter_labels_what_is_typed() -> None:
    answer = tagdesk("predict", "I was charged twice, please refund one", "hi", "--json")
    assert (answer.code, answer.err) == (0, "")
    first, second = answer.json
    assert set(first["labels"]) == {"Billing Issue", "Refund Request"}
    assert {"text", "labels", "scores", "model", "decisions", "flags", "policy"} <= set(first)
    assert len(first["scores"]) == 7
    assert second["flags"] == ["very_short", "out_of_scope"]


def test_a_table_shows_labels_the_most_probable_first_and_flags(tiny_model: str) -> None:
    answer = tagdesk("predict", TEXT, "?", "--model", tiny_model)
    assert answer.code == 0
    assert re.search(r"Billing Issue.*\d%", answer.out)
    assert "very_short" in answer.out


def test_lines_of_stdin_are_tickets_and_blank_ones_are_passed_over(tiny_model: str) -> None:
    answer = tagdesk("predict", "--json", "--model", tiny_model, stdin=f"{TEXT}\n\n  \nparcel late\r\nno end")
    assert [each["text"] for each in answer.json] == [TEXT, "parcel late", "no end"]


def test_one_threshold_replaces_the_policy(tiny_model: str) -> None:
    everything = tagdesk("predict", TEXT, "--json", "--threshold", "0", "--model", tiny_model).json[0]
    nothing = tagdesk("predict", TEXT, "--json", "-t", "1", "--model", tiny_model).json[0]
    assert (len(everything["labels"]), nothing["labels"]) == (3, [])
    assert everything["scores"] == nothing["scores"]
    assert everything["policy"] != nothing["policy"]


@pytest.mark.parametrize("threshold", ["2", "-1", "nan", "inf", "abc", ""])
def test_a_threshold_outside_its_range_is_a_wrong_request(threshold: str, tiny_model: str) -> None:
    refusal(2, "predict", TEXT, f"--threshold={threshold}", "--model", tiny_model)


def test_a_model_is_named_by_folder_id_or_environment(
    saved: Path, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = models["linear"].id
    assert tagdesk("predict", TEXT, "--json", "--model", name, "--models", saved).json[0]["model"] == name
    monkeypatch.setenv("TAGDESK_MODEL", str(saved / name))
    assert tagdesk("predict", TEXT, "--json").json[0]["model"] == name
    monkeypatch.setenv("TAGDESK_MODEL", name)
    monkeypatch.setenv("TAGDESK_MODELS", str(saved))
    assert tagdesk("predict", TEXT, "--json").json[0]["model"] == name


def test_stdin_without_a_ticket_or_with_too_many_is_refused(tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Give one" in refusal(3, "predict", "--model", tiny_model, stdin="\n \n")
    assert "stdin, line 2" in refusal(3, "predict", "--model", tiny_model, stdin="fine\n\u200b\n")
    monkeypatch.setattr("tagdesk.cli.serving.MOST_LINES", 3)
    assert "classify" in refusal(3, "predict", "--model", tiny_model, stdin="word\n" * 4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predct", "hi"], "'predict'"),
        (["predict", "--modle", "x", "hi"], "--model"),
        (["classify"], "Missing argument"),
        (["train", "x.csv"], "--out"),
        (["train", "x.csv", "--out", "m", "--seed", "-1"], "seed"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_wrong_request_is_answered_in_one_line_with_the_way_to_help(arguments: list[str], says: str) -> None:
    line = refusal(2, *arguments)
    assert says in line
    assert "--help" in line


@pytest.mark.parametrize("command", _HOMES)
def test_the_help_of_each_command_explains_every_option_and_gives_examples(command: str) -> None:
    answer = tagdesk(command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"Examples:\n    tagdesk {command}" in answer.out
    options = answer.out.split("Options:\n")[1].split("\n\n")[0]
    for option in re.findall(r"^  (?:-\w, |    )?--.*(?:\n {6,}.*)*", options, flags=re.MULTILINE):
        assert re.search(r"(\s{2,}|\n +)[A-Za-z]", option), option


def test_every_command_fits_one_line_of_the_overview() -> None:
    answer = tagdesk()
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.split("Commands:\n")[1].splitlines()] == list(_HOMES)
    assert "..." not in answer.out.split("Commands:\n")[1]
    assert tagdesk("--version").out.startswith("tagdesk 0.")


def test_debug_shows_where_an_error_came_from_and_only_then() -> None:
    answer = tagdesk("--debug", "predict", "")
    assert answer.code == 3
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" in tagdesk("predict", "", "--debug").err
    assert "Traceback" not in tagdesk("predict", "").err


def test_a_ticket_may_say_debug(tiny_model: str) -> None:
    assert tagdesk("predict", "--json", "--model", tiny_model, "--", "--debug").json[0]["text"] == "--debug"


def test_an_error_of_our_own_is_one_line_that_quotes_nobody(tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("4111 1111 1111 1111")

    monkeypatch.setattr(Model, "predict", broken)
    answer = tagdesk("predict", TEXT, "--model", tiny_model)
    assert answer.code == 1
    assert re.fullmatch(r"error: Internal error \(ValueError in test_cli_predict.py, line \d+\)\. Run .*\n", answer.err)


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), 1), (KeyboardInterrupt(), 130), (OSError(5, "bad disk"), 1)]
)
def test_other_ends_have_their_exit_code(
    error: BaseException, code: int, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Model, "predict", ends)
    answer = tagdesk("predict", TEXT, "--model", tiny_model)
    assert (answer.code, len(answer.err.splitlines())) == (code, 1)


def test_certainty_is_not_exaggerated() -> None:
    shares = [0.0, 0.004, 0.05, 0.5, 0.9899, 0.991, 0.9999, 1.0]
    assert [screen.percent(share) for share in shares] == ["0%", "<1%", "5%", "50%", "99%", ">99%", ">99%", "100%"]


def test_where_nothing_is_given_the_best_guess_stands_in_brackets() -> None:
    none = {"A": Decision.NONE, "B": Decision.NONE}
    guessed = Prediction("hi", (), {"A": 0.2, "B": 0.1}, none, "m", "p", ("very_short",))
    assert screen.labels_cell(guessed).plain == "no label (A 20%)\nvery_short"
    hopeless = Prediction("hi", (), {"A": 0.02, "B": 0.01}, none, "m", "p")
    assert screen.labels_cell(hopeless).plain == "no label"


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}], ids=str)
def test_t12_bytes_on_stdin_that_are_no_text_are_refused(environment: dict[str, str], tiny_model: str) -> None:
    running = process("predict", "--model", tiny_model, **environment)
    out, err = running.communicate(b"fine\ncaf\xe9 \xff\n")
    assert (running.returncode, out) == (3, b"")
    assert b"not UTF-8" in err
    assert len(err.splitlines()) == 1


def test_stdin_with_nul_a_mark_and_a_huge_line_is_read(tiny_model: str) -> None:
    running = process("predict", "--json", "--model", tiny_model)
    out, _ = running.communicate(b"\xef\xbb\xbfmy card\nab\0cd\n" + b"word " * 150_000)
    first, second, third = json.loads(out)
    assert (running.returncode, first["text"], first["flags"]) == (0, "my card", [])
    assert "control_characters" in second["flags"]
    assert "truncated" in third["flags"]


def test_stdin_may_be_empty_or_closed(tiny_model: str) -> None:
    for shell in ("</dev/null", "<&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m tagdesk predict --model "$1" {shell}', sys.executable, tiny_model],
            capture_output=True,
            env=os.environ | SPEECH,
            check=False,
        )
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["--help", "predict 'ein Päckchen 😀' --json", "predict 'ein Päckchen 😀'"])
def test_any_locale_will_do(command: str, tiny_model: str) -> None:
    for environment in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m tagdesk {command}', sys.executable],
            capture_output=True,
            env=os.environ | SPEECH | {"TAGDESK_MODEL": tiny_model} | environment,
            check=False,
        )
        if "PYTHONUTF8" in environment and "predict" in command:
            # Arguments that the locale cannot say are lost before Python sees them; that is told, not guessed.
            assert done.returncode in {0, 3}
        else:
            assert (done.returncode, done.stderr) == (0, b"")
        if "json" in command and done.returncode == 0:
            assert json.loads(done.stdout)[0]["text"].startswith("ein P")


@pytest.mark.parametrize("end", ["| head -1", ">&-", "2>&1 | head -c 1"])
def test_nobody_needs_to_read_to_the_end(end: str, tiny_model: str) -> None:
    texts = " ".join(["'my card was charged twice'"] * 3000)
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -m tagdesk predict --json {texts} {end}', sys.executable],
        capture_output=True,
        env=os.environ | SPEECH | {"TAGDESK_MODEL": tiny_model},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_answer_that_finds_no_room_is_told_once(tiny_model: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m tagdesk predict hello there --json > /dev/full', sys.executable],
        capture_output=True,
        text=True,
        env=os.environ | SPEECH | {"TAGDESK_MODEL": tiny_model},
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch("error: .*No space left on device.\n", done.stderr)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_table_fits_the_terminal(width: int, models: dict[str, Model]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only here

    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - closed with it
    console.print(screen.predictions_table(models["linear"].predict([TEXT * 9, "?"])))
    lines = console.export_text().splitlines()
    console.file.close()
    assert max(map(len, lines)) <= width


def test_help_is_quick_and_predict_imports_nothing_it_does_not_need(saved: Path, models: dict[str, Model]) -> None:
    served = str(saved / models["onnx"].id)
    code = (
        "import sys; from tagdesk.cli import run; "
        f"code = run(['predict', '--json', '--model', {served!r}, 'hi']); "
        "slow = ('pyarrow', 'matplotlib', 'torch', 'transformers', 'sklearn', 'rich.progress', 'tagdesk.dataset', "
        "'tagdesk.train', 'tagdesk.evaluate'); "
        "print(code, [m for m in slow if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    before = os.times()
    subprocess.run([sys.executable, "-m", "tagdesk", "--help"], capture_output=True, check=True)
    after = os.times()
    assert after.children_user - before.children_user < 1.5  # 0.25 s where nothing else runs


def test_a_bar_appears_only_on_a_terminal_and_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    import io  # noqa: PLC0415 - only here

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, patience, shown in ((Terminal(), 0.0, True), (Terminal(), 9.0, False), (io.StringIO(), 0.0, False)):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(screen, "PATIENCE", patience)
        monkeypatch.setenv("TERM", "xterm")
        with screen.progress() as report:
            deadline = time.monotonic() + (5 if shown else 0.05)
            while "rows" not in stream.getvalue() and time.monotonic() < deadline:
                report("rows", 1, 2)
        assert ("rows" in stream.getvalue()) is shown
        assert bool(stream.getvalue()) is shown


def test_run_gives_the_exit_code_as_a_number() -> None:
    assert run(["--version"]) == 0
