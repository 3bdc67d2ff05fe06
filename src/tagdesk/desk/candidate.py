"""Opens a model that shall answer; one that nobody tried yet first in a process of its own, where it kills nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tagdesk.errors import ArtefactError
from tagdesk.model import GOLDEN, Model, find_model

SECONDS = 60.0  # for a model to open and answer; a large one on a slow disk takes ten
CLOSE = 0.05  # change of a probability between that process and this one; both run on the same machine


def open_checked(name: str, models: Path, *, seconds: float = SECONDS) -> Model:
    """The model of that id, after it was opened and asked elsewhere; raises ArtefactError where it is not fit."""
    folder = find_model(name, models=models)
    answered = _ask_elsewhere(folder, seconds)
    model = Model.load(folder)
    here = {prediction.text: prediction.scores for prediction in model.predict(GOLDEN)}
    for text, scores in answered.items():
        if any(abs(here[text][label] - score) > CLOSE for label, score in scores.items()):
            raise ArtefactError(
                f"Model {model.id} gives other probabilities each time it is opened. Train it again.",
                code="model_unhealthy",
            )
    return model


def open_promoted(name: str, models: Path) -> Model:
    """The model of that id, which who promoted it has tried; raises ArtefactError where it is not fit here.

    Its checksums say that its bytes are those that were tried. So it is opened right here, in a fraction of the time
    that a process of its own takes, and asked the golden texts; what gives no probabilities stays out.
    """
    model = Model.load(find_model(name, models=models))
    model.predict(GOLDEN)
    return model


def main() -> None:
    """Answer the golden texts with the model folder that the first argument names, as JSON."""
    model = Model.load(Path(sys.argv[1]))
    print(json.dumps({prediction.text: dict(prediction.scores) for prediction in model.predict(GOLDEN)}))  # noqa: T201


def _ask_elsewhere(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "tagdesk.desk.candidate", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        raise ArtefactError(
            f"The model in {str(folder)!r} did not open and answer within {seconds:.0f} s. It stays out; train or "
            "export it again.",
            code="model_too_slow",
        ) from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:400] if lines else f"its reader ended with {done.returncode}"
        raise ArtefactError(
            f"The model in {str(folder)!r} cannot be opened: {reason}. It stays out, and the current one goes on.",
            code="model_refused",
        )
    answered: dict[str, dict[str, float]] = json.loads(done.stdout)
    return answered


if __name__ == "__main__":
    main()
