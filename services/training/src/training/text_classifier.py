"""The model: a pretrained encoder and a classification head, and how both are kept on disk.

An encoder is kept as transformers keeps it, so that a finished model can be the base or the
teacher of another; the head lies beside it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from training.domain import InputError

HEAD = "head.safetensors"
DESCRIPTION = "classifier.json"
# Their position ids begin after the padding's id.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert")
# What families call the dropout of hidden states and that of attention.
DROPOUTS = ("hidden_dropout_prob", "dropout")
ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")


class Head(torch.nn.Module):
    """Maps the hidden states of a text to one logit per label."""

    def __init__(
        self, width: int, labels: int, pooling: str, dropout: float, spread: float
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.dense = torch.nn.Linear(width, width) if pooling == "cls" else None
        self.dropout = torch.nn.Dropout(dropout)
        self.logits = torch.nn.Linear(width, labels)
        for layer in filter(None, (self.dense, self.logits)):
            torch.nn.init.normal_(layer.weight, std=spread)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map float ``[rows, tokens, width]`` and its int64 mask to ``[rows, labels]``."""
        logits: torch.Tensor = self.logits(self.dropout(self.pool(hidden, mask)))
        return logits

    def pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map float ``[rows, tokens, width]`` and its int64 mask to ``[rows, width]``."""
        if self.dense is not None:
            return torch.tanh(self.dense(hidden[:, 0]))
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


class TextClassifier(torch.nn.Module):
    """An encoder with a head; ``config`` is the encoder's."""

    def __init__(self, encoder: PreTrainedModel, head: Head, labels: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.labels = tuple(labels)
        self.config = encoder.config
        self._takes_segments = "token_type_ids" in inspect.signature(encoder.forward).parameters

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map int64 ``[rows, tokens]`` twice to float32 logits ``[rows, labels]``."""
        return self.with_hidden(ids, mask, wanted=False)[0]

    def with_hidden(
        self, ids: torch.Tensor, mask: torch.Tensor, *, wanted: bool = True
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The logits and, where wanted, the hidden states: embeddings first, then each layer's."""
        segments = {"token_type_ids": torch.zeros_like(ids)} if self._takes_segments else {}
        output = self.encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=wanted, **segments
        )
        logits = self.head(output.last_hidden_state, mask).float()
        return logits, tuple(output.hidden_states or ())

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the head's last layer sees: float32 ``[rows, width]``."""
        segments = {"token_type_ids": torch.zeros_like(ids)} if self._takes_segments else {}
        output = self.encoder(input_ids=ids, attention_mask=mask, **segments)
        return self.head.pool(output.last_hidden_state, mask).float()

    @property
    def max_tokens(self) -> int:
        """The longest text, special tokens included, that the encoder has positions for."""
        positions = int(self.config.max_position_embeddings)
        if self.config.model_type in OFFSET_POSITIONS:
            positions -= int(self.config.pad_token_id) + 1
        return positions

    @property
    def pad_id(self) -> int:
        """The padding's token id."""
        return int(self.config.pad_token_id or 0)


def new_classifier(
    directory: Path,
    labels: Sequence[str],
    pooling: str,
    *,
    dropout: float | None = None,
    attention_dropout: float | None = None,
) -> TextClassifier:
    """Load encoder weights and put a new head on them; dropouts of None are the encoder's own.

    The head's weights come from torch's global generator, so seed it first. Raises InputError when
    there is no usable encoder.
    """
    # Training spends its time in attention and dropout: torch's fused attention is twice as fast on
    # long texts, but only without a dropout of its own.
    encoder = _load_encoder(directory, "sdpa", dropout, attention_dropout)
    config = encoder.config
    own = next((getattr(config, name) for name in DROPOUTS if hasattr(config, name)), 0.1)
    spread = getattr(config, "initializer_range", 0.02)
    head = Head(int(config.hidden_size), len(labels), pooling, float(own), float(spread))
    pooler = getattr(encoder, "pooler", None)
    if head.dense is not None and pooler is not None and hasattr(pooler, "dense"):
        head.dense.load_state_dict(pooler.dense.state_dict())
    return TextClassifier(_without_pooler(encoder), head, labels)


def load_classifier(directory: Path, attention: str = "sdpa") -> TextClassifier:
    """Load what ``save_classifier`` wrote, in eval mode. Raises InputError when it is none.

    ``attention`` is transformers' name of an implementation; ``eager`` is the one whose exported
    graph onnxruntime can fuse.
    """
    try:
        described = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        labels, pooling = tuple(described["labels"]), described["pooling"]
        weights = load_file(directory / HEAD)
    except OSError as exc:
        raise InputError(f"{directory}: not a finished model (no {DESCRIPTION})") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{directory / DESCRIPTION}: not the description of a model") from exc
    encoder = _without_pooler(_load_encoder(directory, attention))
    head = Head(int(encoder.config.hidden_size), len(labels), pooling, 0.0, 0.0)
    head.load_state_dict(weights)
    model = TextClassifier(encoder, head, labels)
    model.eval()
    return model


def save_classifier(model: TextClassifier, directory: Path) -> None:
    """Write encoder, head and description into a directory that exists."""
    model.encoder.save_pretrained(directory)
    save_file({name: t.contiguous() for name, t in model.head.state_dict().items()},
              directory / HEAD)  # fmt: skip
    described = {"labels": list(model.labels), "pooling": model.head.pooling}
    (directory / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def layer_list(encoder: PreTrainedModel) -> torch.nn.ModuleList:
    """The encoder's layers, wherever its family keeps them. Raises InputError for none."""
    for module in encoder.modules():
        is_list = isinstance(module, torch.nn.ModuleList)
        if is_list and len(module) == encoder.config.num_hidden_layers:
            return module
    raise InputError(f"a {encoder.config.model_type} model has no list of layers")


def quiet_transformers() -> None:
    """Silence loading bars and the report on a new head: they would be all that a user sees."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _load_encoder(
    directory: Path,
    attention: str,
    dropout: float | None = None,
    attention_dropout: float | None = None,
) -> PreTrainedModel:
    quiet_transformers()
    try:
        config = AutoConfig.from_pretrained(directory)
        _set_dropout(config, DROPOUTS, dropout)
        _set_dropout(config, ATTENTION_DROPOUTS, attention_dropout)
        encoder: PreTrainedModel = AutoModel.from_pretrained(
            directory, config=config, attn_implementation=attention, dtype=torch.float32
        )
    # Missing, malformed, cut and mismatching files each raise an error of another library.
    except Exception as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise InputError(f"{directory}: not a usable base model ({reason})") from exc
    if encoder.config.is_encoder_decoder or not hasattr(encoder.config, "hidden_size"):
        raise InputError(f"{directory}: a {encoder.config.model_type} model is not an encoder")
    return encoder


def _without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    return encoder


def _set_dropout(config: PreTrainedConfig, names: tuple[str, ...], wanted: float | None) -> None:
    for name in names:
        if wanted is not None and hasattr(config, name):
            setattr(config, name, wanted)
