from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.calibrate import Calibration
from tagdesk.errors import ArtefactError, InputError
from tagdesk.model import Model, find_model, list_models
from tagdesk.policy import Policy
from tagdesk.prediction import Decision

CopyOf = Callable[[str], Path]
KINDS = ("linear", "probe", "onnx")
TEXT = "my card was charged twice"


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, models: dict[str, Model]) -> Model:
    return models[request.param]


def test_predictions_keep_the_order_of_the_texts(model: Model) -> None:
    texts = ["parcel late", TEXT, "parcel late", "password locked"]
    predictions = model.predict(texts)
    assert [prediction.text for prediction in predictions] == texts
    assert predictions[0].scores == pytest.approx(predictions[2].scores, abs=1e-6)
    assert list(predictions[0].scores) == list(tiny.LABELS)


def test_no_texts_give_no_predictions(model: Model) -> None:
    assert model.predict([]) == []
    assert model.judge([]).probs.shape == (0, 3)


def test_a_text_is_judged_alike_alone_and_among_others(model: Model) -> None:
    texts = [*tiny.examples(40, seed=1).texts, "ok", "a" * 300, " ".join(["charged"] * 2000)]
    together = model.judge(texts).probs
    alone = np.concatenate([model.judge([text]).probs for text in texts])
    backwards = model.judge(texts[::-1]).probs[::-1]
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(together, backwards, atol=1e-5)


def test_scores_are_calibrated_and_labels_stand_by_score(models: dict[str, Model]) -> None:
    model = models["linear"]
    raw = model.scorer.score(["parcel late password locked"]).probs
    [prediction] = model.predict(["parcel late password locked"])
    assert list(prediction.scores.values()) == model.calibration.apply(raw)[0].tolist()
    scores = [prediction.scores[label] for label in prediction.labels]
    assert scores == sorted(scores, reverse=True)
    given = {name for name, score in prediction.scores.items() if prediction.decisions[name] >= Decision.SUGGEST}
    assert set(prediction.labels) == given
    assert len(given) == 2


def test_another_policy_changes_decisions_and_no_score(models: dict[str, Model]) -> None:
    model = models["probe"]
    everything = Policy.uniform(tiny.LABELS, 0.0, 0.0)
    [mine], [other] = model.predict([TEXT]), model.predict([TEXT], policy=everything)
    assert other.scores == mine.scores
    assert set(other.labels) == set(tiny.LABELS)
    assert set(other.decisions.values()) == {Decision.AUTOMATE}
    assert (mine.policy, other.policy) == (model.policy.id, everything.id)
    assert mine.policy != other.policy


def test_a_prediction_says_which_model_spoke(models: dict[str, Model]) -> None:
    model = models["onnx"]
    assert model.predict([TEXT])[0].model == model.id == model.manifest.id
    assert replace(model, manifest=None).predict([TEXT])[0].model == "unsaved"


def test_what_is_wrong_with_a_text_is_told_with_its_place_and_without_the_text(models: dict[str, Model]) -> None:
    model = models["linear"]
    with pytest.raises(InputError, match=r"^Text 2 of 3: The text is empty") as refused:
        model.predict([TEXT, " \u200b ", TEXT])
    assert refused.value.code == "empty_text"
    with pytest.raises(InputError, match=r"^The text is empty"):
        model.predict([""])
    with pytest.raises(InputError) as refused:
        model.predict(["secret \ud800"])
    assert "secret" not in str(refused.value)


def test_a_bare_string_is_no_list_of_texts(models: dict[str, Model]) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        models["linear"].predict(TEXT)


def test_flags_tell_of_cuts_and_of_unknown_words(models: dict[str, Model]) -> None:
    model = models["onnx"]  # reads 64 tokens
    flags = [
        prediction.flags for prediction in model.predict([TEXT, "charged " * 70, "\u0394\u03a3 \u042f\u0416", "ok"])
    ]
    assert flags[0] == ()
    assert flags[1] == ("long",)
    assert "unk_ratio" in flags[2]
    assert flags[3] == ("very_short",)


def test_a_cut_by_characters_and_tokens_is_flagged_once(models: dict[str, Model]) -> None:
    assert models["onnx"].predict(["charged " * 9000])[0].flags == ("truncated", "long")


@pytest.mark.parametrize("kind", ["onnx", "probe"])
def test_a_need_on_the_last_page_counts_as_much_as_on_the_first(kind: str, models: dict[str, Model]) -> None:
    model = models[kind]
    page = "parcel late courier delivery tracking lost shipped box " * 40
    short, long = model.judge([page[:200], f"{page} {TEXT}"]).probs
    [alone] = model.judge([TEXT]).probs
    assert (long >= short - 0.02).all()
    need = int(alone.argmax())
    assert long[need] > short[need]


def test_more_pages_than_are_read_is_said(models: dict[str, Model]) -> None:
    fits, exceeds = models["onnx"].predict(["charged " * 250, "charged " * 600])
    assert (fits.flags, exceeds.flags) == (("long",), ("long", "truncated"))


def test_special_tokens_that_a_customer_types_are_text(models: dict[str, Model]) -> None:
    """T32: they count as letters between brackets, not as the ends of a text."""
    for kind in ("probe", "onnx"):
        scorer = models[kind].scorer
        typed, spaced = scorer.score([f"[CLS] {TEXT} [SEP] [PAD]", f"[ cls ] {TEXT} [ sep ] [ pad ]"]).probs
        assert np.allclose(typed, spaced, atol=1e-6)
    [plain, typed] = models["linear"].judge([TEXT, f"{TEXT} [MASK]"]).probs
    assert np.abs(plain - typed).max() < 0.2


@pytest.mark.parametrize("damage", ["shape", "nan"])
def test_m9_a_scorer_that_gives_no_probabilities_is_unhealthy(damage: str, models: dict[str, Model]) -> None:
    scorer = models["linear"].scorer

    class Damaged:
        kind = "linear"

        def score(self, texts: list[str]) -> object:
            scores = scorer.score(texts)
            probs = scores.probs[:, :2] if damage == "shape" else scores.probs * np.float32("nan")
            return replace(scores, probs=probs)

    with pytest.raises(ArtefactError) as refused:
        replace(models["linear"], scorer=Damaged()).predict([TEXT])
    assert refused.value.code == {"shape": "label_mismatch", "nan": "model_unhealthy"}[damage]


def test_a_model_is_found_by_folder_and_by_id(
    saved: Path, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["probe"]
    assert Model.load(saved / model.id).id == model.id
    assert Model.load(str(saved / model.id)).id == model.id
    assert Model.load(model.id, models=saved).id == model.id
    monkeypatch.chdir(saved.parent)
    saved_as = Path("models")
    if not saved_as.exists():
        saved_as.symlink_to(saved)
    assert find_model(model.id) == saved_as / model.id


def test_the_starter_is_found_without_a_folder() -> None:
    assert find_model("starter").parts[-2:] == ("starter", "model")


@pytest.mark.parametrize("name", ["", "nothing", "../../etc", "/etc", "x" * 10_000, "a\0b", "~root", "\ud800", "*"])
def test_a_name_that_is_no_model_is_refused_with_a_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"There is no model .*or 'starter'\.$") as refused:
        Model.load(name, models=tmp_path)
    assert refused.value.code == "no_model"
    assert len(str(refused.value)) < 1000


def test_models_are_listed_newest_first_and_what_is_none_is_passed_over(
    models: dict[str, Model], tmp_path: Path
) -> None:
    for age, kind in enumerate(KINDS):
        model = models[kind].save(tmp_path)
        os.utime(tmp_path / model.id, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "notes").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".writing-1").mkdir()
    (tmp_path / ".writing-1" / "manifest.json").write_bytes((tmp_path / model.id / "manifest.json").read_bytes())
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert [manifest.kind for manifest in list_models(tmp_path)] == list(KINDS)
    assert list_models(tmp_path / "nowhere") == []
    assert list_models(tmp_path / "file") == []


def test_calibration_for_other_labels_is_refused(models: dict[str, Model]) -> None:
    with pytest.raises(ArtefactError, match="the calibration takes 2"):
        replace(models["linear"], calibration=Calibration.identity(2)).judge([TEXT])


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_serving_imports_nothing_that_is_slow(kind: str, saved: Path, models: dict[str, Model]) -> None:
    script = """
        import json, sys, time
        start = time.process_time()
        from tagdesk.model import Model
        imported = time.process_time() - start
        Model.load(sys.argv[1]).predict(["my card was charged twice"])
        print(json.dumps([imported, sorted(sys.modules)]))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(saved / models[kind].id)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    imported, names = json.loads(done.stdout)
    slow = {"sklearn", "scipy", "pyarrow", "matplotlib", "onnx", "torch", "transformers", "pandas", "huggingface_hub"}
    assert not slow & {name.partition(".")[0] for name in names}
    assert imported < 0.6  # seconds of one core; 0.15 on an idle one


def test_a_model_that_was_loaded_can_be_copied_to_another_root(copy_of: CopyOf, tmp_path: Path) -> None:
    model = Model.load(copy_of("probe"))
    assert Model.load(model.save(tmp_path / "there").id, models=tmp_path / "there").predict([TEXT])


def test_m16_a_machine_that_computes_otherwise_is_noticed(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("probe")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["golden"]) == 2
    Model.load(folder)
    manifest["golden"] = {text: [1 - value for value in probs] for text, probs in manifest["golden"].items()}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.warns(RuntimeWarning, match="differ by up to"):
        Model.load(folder)


@pytest.mark.parametrize("golden", [[], {"ok": 1}, {"ok": [2]}, {"ok": ["a"]}, {"ok": [None]}])
def test_m16_golden_values_that_are_none_are_refused(golden: object, copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("probe")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "golden": golden}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="golden"):
        Model.load(folder)


def test_a_folder_of_an_earlier_version_has_no_golden_values(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("probe")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["golden"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert Model.load(folder).manifest is not None
