"""A base model, data and a built package that the tests make themselves, small enough to train."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from training.__main__ import app

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
GOOD = ("great", "lovely", "bright", "moving")
BAD = ("awful", "dull", "broken", "boring")
OTHER = ("the", "film", "is", "and", "a", "story", "of", "it", ".", ",", "!", "every", "scene")
LAYERS = 6
LABELS = ("negative", "positive")
DEV_ROWS = 60

# Tiny matrices gain nothing from a second thread, and lose much where others use the core. Torch
# reads it when it is imported, which only tests that need it should wait for.
os.environ["OMP_NUM_THREADS"] = "1"
# Only tests of tracking track.
os.environ["WEIR_NO_TRACKING"] = "1"

Weir = Callable[..., Result]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of six thin layers with random weights, and a word tokenizer that pads."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny-bert", LAYERS)


@pytest.fixture(scope="session")
def thin_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two layers, where nothing depends on their number."""
    return make_base(tmp_path_factory.mktemp("base") / "thin-bert", 2)


def make_base(directory: Path, layers: int) -> Path:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *GOOD, *BAD, *OTHER))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=32)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    ).save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "README.md").write_text("---\nlicense: apache-2.0\n---\n# tiny\n")
    return directory


def make_rows(count: int, seed: int) -> list[dict[str, object]]:
    """Sentences with one telling word each, of mixed lengths, labels in turn."""
    choose = random.Random(seed)
    rows: list[dict[str, object]] = []
    for index in range(count):
        words = choose.choices((*OTHER, "zebra"), k=choose.randint(1, 14))
        words.insert(choose.randrange(len(words) + 1), choose.choice((BAD, GOOD)[index % 2]))
        rows.append({"text": " ".join(words), "label": index % 2})
    return rows


def write_rows(path: Path, rows: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(scope="session")
def train_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "toys" / "train.jsonl.gz"
    return write_rows(path, make_rows(320, seed=1))


@pytest.fixture(scope="session")
def dev_file(train_file: Path) -> Path:
    return write_rows(train_file.with_name("dev.jsonl.gz"), make_rows(DEV_ROWS, seed=2))


@pytest.fixture(scope="session")
def weir() -> Weir:
    """Run the command line in this process; the error, if any, is in ``exception``."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def built(
    tmp_path_factory: pytest.TempPathFactory,
    weir: Weir,
    base: Path,
    train_file: Path,
    dev_file: Path,
) -> Path:
    """A directory with a package built from nothing (``models``), its data and run (``work``)."""
    root = tmp_path_factory.mktemp("built")
    result = weir(
        "build",
        *("--train", train_file, "--dev", dev_file, "--base", base),
        *("--repository", root / "models", "--name", "toy", "--version", "1"),
        *("--work", root / "work", "--by", "ada", "--drop-leaked"),
        *("--epochs", 6, "--learning-rate", "0.003", "--max-tokens", 48),
    )
    assert result.exception is None, result.output
    (root / "output.txt").write_text(result.output)
    return root


@pytest.fixture(scope="session")
def package(built: Path) -> Path:
    return built / "models" / "toy" / "1"


@pytest.fixture(scope="session")
def checkpoint(built: Path) -> Path:
    return built / "work" / "toy-1" / "model"


@pytest.fixture(scope="session")
def dynamic(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The graph of the build, quantised dynamically."""
    from training.quantise import quantise

    target = tmp_path_factory.mktemp("dynamic") / "int8.onnx"
    quantise(checkpoint / "fused.onnx", target, layers=LAYERS)
    return target


@pytest.fixture(scope="session")
def data(
    tmp_path_factory: pytest.TempPathFactory, weir: Weir, train_file: Path, dev_file: Path
) -> Path:
    """Prepared data of two sources, with some seconds of training in it at most."""
    output = tmp_path_factory.mktemp("prepared") / "data"
    other = write_rows(output.parent / "other" / "train.jsonl", make_rows(80, seed=3))
    result = weir(
        *("prepare", "--train", train_file, "--dev", dev_file, "--train", other, "--drop-leaked"),
        *("--dev-share", "0.25", "--output", output),
    )
    assert result.exception is None, result.output
    return output


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket called models, which the process's AWS settings lead to."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = boto3.resource("s3").create_bucket(Bucket="models")
    yield made
    made.objects.delete()
    made.delete()
