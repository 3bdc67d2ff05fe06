from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from tagdesk.calibrate import Calibration
from tagdesk.errors import ArtefactError, TagdeskError, UsageError
from tagdesk.model import Model
from tagdesk.model.folder import read_folder
from tagdesk.taxonomy import Label, Taxonomy

CopyOf = Callable[[str], Path]


def run(script: str, *arguments: object) -> str:
    """What a Python process printed that ran the script."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def entries(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("kind", ["linear", "probe", "onnx"])
def test_a_saved_model_is_one_folder_of_plain_files(kind: str, models: dict[str, Model], tmp_path: Path) -> None:
    model = models[kind].save(tmp_path / "a" / "b")
    assert entries(tmp_path / "a" / "b") == [model.id]
    files = entries(tmp_path / "a" / "b" / model.id)
    assert files == sorted([*model.manifest.files, "manifest.json"])
    assert {"taxonomy.toml", "calibration.json", "policy.json"} < set(files)
    assert not {Path(name).suffix for name in files} - {".json", ".toml", ".npz", ".onnx"}


def test_the_same_model_saved_twice_is_one_folder_and_the_first_stays(models: dict[str, Model], tmp_path: Path) -> None:
    first = models["probe"].save(tmp_path)
    manifest = tmp_path / first.id / "manifest.json"
    before = manifest.stat()
    second = replace(models["probe"], manifest=replace(first.manifest, origin={"tickets": 7})).save(tmp_path)
    after = manifest.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert second.manifest == first.manifest  # what stands on disk, not what was meant
    assert entries(tmp_path) == [first.id]


@pytest.mark.parametrize("kind", ["linear", "probe"])
def test_the_same_training_gives_the_same_id(
    kind: str, encoder: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    assert tiny.model(kind, encoder, tmp_path / "unused").save(tmp_path).id == models[kind].id


def test_the_id_changes_with_taxonomy_weights_tokenizer_and_calibration(encoder: Path, tmp_path: Path) -> None:
    model = tiny.model("probe", encoder, tmp_path)
    other = tiny.write_encoder(tmp_path / "other")
    text = (other / "tokenizer.json").read_text(encoding="utf-8")
    (other / "tokenizer.json").write_text(text.replace('"max_input_chars_per_word":20', ""), encoding="utf-8")
    words = json.loads((encoder / "tokenizer.json").read_text(encoding="utf-8"))
    words["model"]["max_input_chars_per_word"] = 21
    (other / "tokenizer.json").write_text(json.dumps(words), encoding="utf-8")
    described = Taxonomy((Label(tiny.LABELS[0], "explained"), *Taxonomy.of(tiny.LABELS[1:]).labels))
    changed = [
        replace(model, taxonomy=described),
        replace(model, calibration=Calibration.identity(3)),
        tiny.model("probe", other, tmp_path),
        tiny.model("probe", tiny.write_encoder(tmp_path / "weights", seed=1), tmp_path),
    ]
    assert len({each.save(tmp_path / "models").id for each in (model, *changed)}) == 5


def test_the_id_does_not_change_with_the_policy_or_the_origin(models: dict[str, Model], tmp_path: Path) -> None:
    model = models["linear"]
    policy = replace(model.policy, suggest=np.array([0.1, 0.1, 0.1]))
    assert replace(model, policy=policy).save(tmp_path / "p").id == model.id
    assert replace(model, manifest=replace(model.manifest, origin={"seed": 3})).save(tmp_path / "o").id == model.id


def test_another_policy_for_a_model_that_stands_there_is_refused_and_nothing_changes(
    models: dict[str, Model], tmp_path: Path
) -> None:
    model = models["linear"].save(tmp_path)
    other = replace(model, policy=replace(model.policy, suggest=np.array([0.1, 0.1, 0.1])))
    with pytest.raises(UsageError, match=r"another policy\.json") as refused:
        other.save(tmp_path)
    assert refused.value.code == "other_policy"
    assert Model.load(tmp_path / model.id).policy.id == model.policy.id
    assert entries(tmp_path) == [model.id]


def test_a_damaged_folder_in_the_way_is_named_and_not_repaired_in_silence(
    models: dict[str, Model], tmp_path: Path
) -> None:
    model = models["linear"].save(tmp_path)
    (tmp_path / model.id / "linear.npz").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"remove .* first"):
        model.save(tmp_path)
    assert (tmp_path / model.id / "linear.npz").read_bytes() == b"damaged"
    assert entries(tmp_path) == [model.id]


def test_something_else_in_the_way_is_named(models: dict[str, Model], tmp_path: Path) -> None:
    model = models["linear"]
    (tmp_path / model.id).mkdir()
    (tmp_path / model.id / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be written"):
        model.save(tmp_path)
    assert entries(tmp_path / model.id) == ["notes.txt"]
    assert entries(tmp_path) == [model.id]


def test_m14_a_place_that_cannot_be_written_is_named(models: dict[str, Model], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for root in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere"), tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match=r"cannot be written here: .*Name a folder") as refused:
            models["probe"].save(root)
        assert refused.value.code == "unwritable"


def test_m14_a_full_disk_leaves_nothing(saved: Path, models: dict[str, Model], tmp_path: Path) -> None:
    for size in (0, 100, 1000, 12_000):
        root = tmp_path / str(size)
        script = """
            import resource, sys
            from pathlib import Path
            from tagdesk.errors import TagdeskError
            from tagdesk.model import Model
            model = Model.load(sys.argv[1])
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
            try:
                model.save(Path(sys.argv[2]))
            except TagdeskError as error:
                print(error.code)
            """
        assert run(script, saved / models["probe"].id, root, size).strip() == "disk_full"
        assert entries(root) == []


def test_m13_a_save_that_is_killed_at_any_line_leaves_the_folder_whole_or_absent(
    saved: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    # A child for every second line of the writer: it kills itself there, and the parent looks at what is left.
    script = """
        import os, shutil, signal, sys, warnings
        from pathlib import Path
        from tagdesk.model import Model, writer
        from tagdesk.model.folder import read_folder

        warnings.simplefilter("ignore")  # this process has threads, and forks
        model, root = Model.load(sys.argv[1]), Path(sys.argv[2])
        files = {writer.__file__, sys.modules["tagdesk.scorers.probe"].__file__}

        def save_and_die(point):
            count = 0

            def trace(frame, event, _argument):
                nonlocal count
                if frame.f_code.co_filename not in files:
                    return None
                if event == "line":
                    count += 1
                    if count == point:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace

            sys.settrace(trace)
            model.save(root)
            os._exit(0)

        whole = drafts = point = 0
        while True:
            point += 2
            (root / ".writing-left").mkdir(parents=True, exist_ok=True)
            child = os.fork()
            if child == 0:
                save_and_die(point)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                break
            for path in root.iterdir():
                if path.name.startswith("."):
                    drafts += path.name != ".writing-left"
                else:
                    assert read_folder(path).manifest.id == model.id
                    whole += 1
                shutil.rmtree(path)
        print(point, drafts, whole)
        """
    points, drafts, whole = map(int, run(script, saved / models["probe"].id, tmp_path / "models").split())
    assert points > 80
    assert drafts > 20
    assert whole > 2
    assert entries(tmp_path / "models") == [models["probe"].id]


def test_a_save_sweeps_what_killed_saves_left_and_only_that(models: dict[str, Model], tmp_path: Path) -> None:
    (tmp_path / ".writing-0123456789abcdef").mkdir()
    (tmp_path / ".writing-0123456789abcdef" / "model.onnx").write_bytes(b"half")
    (tmp_path / ".mine").mkdir()
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    model = models["linear"].save(tmp_path)
    assert entries(tmp_path) == sorted([".mine", model.id, "notes.txt"])


def test_a_save_does_not_sweep_a_draft_that_somebody_is_writing(models: dict[str, Model], tmp_path: Path) -> None:
    scorer = models["linear"].scorer

    class Slow:
        """A scorer during whose save another model is saved."""

        kind = scorer.kind
        score = staticmethod(scorer.score)

        def save(self, folder: Path) -> None:
            scorer.save(folder)
            models["probe"].save(tmp_path)

    outer = replace(models["linear"], scorer=Slow()).save(tmp_path)
    assert entries(tmp_path) == sorted([outer.id, models["probe"].id])
    read_folder(tmp_path / outer.id)


def test_many_saves_at_once_give_one_folder(models: dict[str, Model], tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {saved.id for saved in pool.map(lambda _: models["probe"].save(tmp_path), range(24))}
    assert ids == {models["probe"].id}
    assert entries(tmp_path) == [models["probe"].id]
    assert Model.load(tmp_path / models["probe"].id).predict(["parcel late"])


def test_two_processes_that_save_at_once_give_one_folder(saved: Path, models: dict[str, Model], tmp_path: Path) -> None:
    script = """
        import os, sys, warnings
        from pathlib import Path
        from tagdesk.model import Model
        warnings.simplefilter("ignore")
        model = Model.load(sys.argv[1])
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                for round_ in range(20):
                    assert model.save(Path(sys.argv[2]) / str(round_)).id == model.id
                os._exit(0)
            children.append(child)
        print([os.waitpid(child, 0)[1] for child in children])
        """
    assert run(script, saved / models["onnx"].id, tmp_path / "rounds").strip() == "[0, 0]"
    for round_ in (tmp_path / "rounds").iterdir():
        assert entries(round_) == [models["onnx"].id]
        read_folder(round_ / models["onnx"].id)


def test_a_scorer_that_cannot_be_written_leaves_nothing(models: dict[str, Model], tmp_path: Path) -> None:
    class Failing:
        kind = "linear"
        score = staticmethod(models["linear"].scorer.score)

        def save(self, folder: Path) -> None:
            (folder / "linear.npz").write_bytes(b"half")
            raise ArtefactError("no")

    with pytest.raises(TagdeskError, match="no"):
        replace(models["linear"], scorer=Failing()).save(tmp_path)
    assert entries(tmp_path) == []


def test_a_model_is_as_readable_as_the_umask_allows(models: dict[str, Model], tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        model = models["linear"].save(tmp_path)
    finally:
        os.umask(before)
    folder = tmp_path / model.id
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}


def test_the_manifest_tells_kind_versions_and_origin(models: dict[str, Model], tmp_path: Path) -> None:
    origin: dict[str, Any] = {"recipe": {"kind": "linear"}, "note": "über"}
    base = models["linear"]
    model = replace(base, manifest=replace(base.manifest, origin=origin)).save(tmp_path)
    loaded = Model.load(model.id, models=tmp_path).manifest
    assert (loaded.kind, dict(loaded.origin), loaded.format) == ("linear", origin, 1)
    assert {"numpy", "onnxruntime", "tokenizers"} <= set(loaded.libraries)
    assert loaded == model.manifest
