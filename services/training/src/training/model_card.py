"""The model card: what a person should know before trusting a package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

SECTIONS = ("model", "training", "distillation")
POOLINGS = {"mean": "mean", "cls": "first token"}

_CARD = """\
# {name} {version}

A text classifier with the labels {labels}: `{base_model}` (a BERT encoder), fine-tuned, fused and
quantised to int8 for ONNX Runtime on CPU. One text in, one probability per label out.

## Data

{data}

No text of the data is in this package. `reference.json` holds sketches and sums of the dev rows,
and the texts of `golden.jsonl` were written for it.

## Recipe

AdamW with seed {seed}, the head on the {pooling} of the last hidden states; {steps} steps, the
best weights are those of step {best_step}. It took {minutes:.0f} min on {device} with {threads} CPU
thread(s). All settings:

```yaml
{settings}```

The graph was traced, fused (attention, layer norms, embeddings, activations) and its weights
quantised per channel to 7 of 8 bits, so that CPUs with and without VNNI multiply integers alike;
activations are quantised at run time.

## Figures

{figures}

Accuracy, F1 (macro), mean confidence and the digest of the predicted labels are those of the int8
model, each text alone. Latency is the median for one text, tokenising included, on one thread of
the machine that built the package, which may have had other work: compare ratios, not milliseconds.
`noise_changed_labels` counts the rows whose label changes when float weights move by a millionth,
as they do in effect on another CPU: about that many labels may differ elsewhere, and with
them their digest.

The figures come from the split that also decided between recipes, so expect slightly less on new
text of the same kind. On so few rows an accuracy has a standard error of about {error:.3f}:
recipes that differ by less do not differ.

## Limits

- **Run each text alone, without padding.** Dynamic quantisation takes its activation scale over the
  whole batch tensor: in a batch, a text's answer would depend on the texts beside it. Evaluation
  and golden examples use batches of one, and so does Weir's server.
- It knows short English texts like those it was trained on. Other languages, long documents, irony
  and mixed opinions are outside of what was measured.
- It has no class for "neither": a neutral text still gets one of the labels, sometimes with a high
  confidence. The probabilities are not calibrated; compare mean confidence with accuracy above.
- Only the first {max_tokens} tokens count; the rest of a longer text is not seen.
- It inherits what its data and base weights hold of bias. Do not decide about people with it.

## Reproduce

The recipe above, the data set with SHA-256 `{dataset_sha256}` (of its `dataset.json`) and the
code with SHA-256 `{code_sha256}` make these weights, on the same number of threads with the same
versions of torch ({torch}) and transformers ({transformers}):

```sh
weir-train prepare RECIPE --data DIRECTORY --output DATA
weir-train fit DATA --recipe RECIPE --output RUN
weir-train package RUN --dev DATA --name {name} --version {version}
```

## Licence

Base weights `{base_model}` (SHA-256 `{base_model_sha256}`): {licence}. The fine-tuned weights are
distributed under the same licence.
"""


def model_card(manifest: Mapping[str, Any]) -> str:
    """Render ``MODEL_CARD.md`` from the content of ``model.yaml``, so that they cannot differ."""
    training = manifest["training"]
    fields = {
        **training,
        **manifest,
        "labels": " and ".join(f"`{label}`" for label in manifest["labels"]),
        "data": "\n".join(_data_line(row) for row in manifest["data"]),
        "figures": _figures(manifest["metrics"]),
        "seed": training["training"]["seed"],
        "pooling": POOLINGS[training["model"]["pooling"]],
        "settings": yaml.safe_dump(
            {part: training[part] for part in ("model", "training", "distillation")},
            sort_keys=False,
        ),
        "minutes": training["seconds"] / 60,
        "error": _standard_error(manifest["metrics"]),
        "max_tokens": manifest["inputs"]["max_tokens"],
    }
    return _CARD.format_map(fields)


def _data_line(data: Mapping[str, Any]) -> str:
    digest = data["sha256"]
    return f"- `{data['name']}`, split `{data['split']}`: {data['rows']} rows, SHA-256 `{digest}`"


def _figures(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ["| set | figure | value |", "|---|---|---|"]
    for name, scores in metrics.items():
        rows += [f"| {name} | {figure} | {value} |" for figure, value in scores.items()]
    return "\n".join(rows)


def _standard_error(metrics: Mapping[str, Mapping[str, Any]]) -> float:
    """The largest standard error of an accuracy, a binomial share: sqrt(p · (1 - p) / rows)."""
    return max(
        math.sqrt(scores["accuracy"] * (1 - scores["accuracy"]) / scores["rows"])
        for scores in metrics.values()
    )
