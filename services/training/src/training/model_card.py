"""The model card: what a person should know before trusting a package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

SECTIONS = ("model", "training", "distillation")
POOLINGS = {"mean": "mean", "cls": "first token"}
GRAPHS = {
    "static": """\
Its weights are int8, quantised per channel to 7 of 8 bits, so that CPUs with and without VNNI
multiply integers alike. The scales of activations are constants, taken from train rows.""",
    "dynamic": """\
Its weights are int8, quantised per channel to 7 of 8 bits, so that CPUs with and without VNNI
multiply integers alike. Activations are quantised at run time, with the scale of the tensor at
hand.""",
    "none": "It is not quantised: weights and activations are float32.",
}
INDEPENDENT = """\
- Texts may share a run, padded to the longest: an answer does not depend on its mates. A run has
  up to {max_items} texts and, padding included, {max_padded_tokens} tokens: more gained nothing."""
ALONE = """\
- **Run each text alone, without padding.** An activation's scale is taken over the whole batch
  tensor: in a batch, a text's answer would depend on the texts beside it. Evaluation and golden
  examples use batches of one, and so does Weir's server."""
CUTS = {
    "head": "Only the first {max_tokens} tokens of a text count; the rest is not seen.",
    "tail": "Only the last {max_tokens} tokens of a text count; what is before is not seen.",
    "head_tail": "Of a text with more than {max_tokens} tokens, the first quarter of so many and "
    "the rest from its end count;\n  the middle is not seen.",
}

_CARD = """\
# {name} {version}

A text classifier with the labels {labels}: `{base_model}` (a BERT encoder),
fine-tuned, for ONNX Runtime on CPU. One text in, one probability per label out. {compared}

The graph was traced and fused (attention, layer norms, embeddings, activations).
{graph}

## Data

{data}

No text of the data is in this package. `reference.json` holds sketches and sums of the dev rows and
a sample of their projections, and the texts of `golden.jsonl` were written for it.

## Recipe

AdamW with seed {seed}, the head on the {pooling} of the last hidden states; {steps} steps, the
best weights are those of step {best_step}. It took {minutes:.0f} min on {device} with {threads} CPU
thread(s). All settings:

```yaml
{settings}```

## Figures

{figures}

Accuracy, F1 (macro), mean confidence and the digest of the predicted labels are those of the graph
in this package; agreement is the share of rows that it gives the label that the float graph gives,
whose own accuracy is `fp32_accuracy`. Of the first `noise_rows` rows, `noise_changed_labels` change
their label when float weights move by a millionth, as they do in effect on another CPU: about that
share of labels may differ elsewhere, and with them their digest.

The figures come from the split that also chose the weights, so expect slightly less on new text of
the same kind. On so few rows an accuracy has a standard error of up to {error:.3f}: models that
differ by less do not differ.

## Confidence

{confidence}

## Limits

{company}
- It knows texts like those of its data. Other languages, other subjects and other lengths are
  outside of what was measured.
- It has no class for "none of them": any text gets one of the labels, sometimes with a high
  confidence.
- {cut}
- It inherits what its data and base weights hold of bias. Do not decide about people with it.

## Reproduce

The recipe above, the data set with SHA-256 `{dataset_sha256}`
(of its `dataset.json`) and the code with SHA-256 `{code_sha256}`
make these weights, on the same number of threads with the same versions of torch ({torch}) and
transformers ({transformers}):

```sh
weir-train prepare RECIPE --data DIRECTORY --output DATA
weir-train fit DATA --recipe RECIPE --output RUN
weir-train export RUN --data DATA --quantisation {quantisation}{projecting}
weir-train register RUN --dev DATA --name {name} --version {version}
```

## Licence

Base weights `{base_model}` (SHA-256 `{base_model_sha256}`): {licence}. The fine-tuned weights are
distributed under the same licence.
"""


def model_card(manifest: Mapping[str, Any]) -> str:
    """Render ``MODEL_CARD.md`` from the content of ``model.yaml``, so that they cannot differ."""
    training, inputs, batching = manifest["training"], manifest["inputs"], manifest["batching"]
    fields = {
        **training,
        **manifest,
        "labels": " and ".join(f"`{label}`" for label in manifest["labels"]),
        "graph": GRAPHS[manifest["quantisation"]],
        "compared": _compared(manifest["registered"]),
        "data": "\n".join(_data_line(row) for row in manifest["data"]),
        "figures": _figures(manifest["metrics"]),
        "confidence": _confidence(manifest["temperature"], manifest.get("calibration")),
        "seed": training["training"]["seed"],
        "pooling": POOLINGS[training["model"]["pooling"]],
        "settings": yaml.safe_dump({part: training[part] for part in SECTIONS}, sort_keys=False),
        "minutes": training["seconds"] / 60,
        "error": _standard_error(manifest["metrics"]),
        "company": (INDEPENDENT if batching["independent"] else ALONE).format_map(batching),
        "cut": CUTS[inputs["truncation"]].format_map(inputs),
        "projecting": "" if "projection" in manifest else " --no-projection",
    }
    return _CARD.format_map(fields)


def _data_line(data: Mapping[str, Any]) -> str:
    digest = data["sha256"]
    return f"- `{data['name']}`, split `{data['split']}`: {data['rows']} rows, SHA-256 `{digest}`"


def _compared(registered: Mapping[str, Any]) -> str:
    if "version" not in registered:
        return "It was the first version."
    version = registered["version"]
    if "unscored" in registered:
        return f"It was not compared with version {version}, then in production."
    return (
        f"On the same rows\nits accuracy was {registered['accuracy']:.4f}, and that of version "
        f"{version}, then in production, {registered['production_accuracy']:.4f} (means over the "
        "sources)."
    )


def _figures(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ["| set | figure | value |", "|---|---|---|"]
    for name, scores in metrics.items():
        rows += [f"| {name} | {figure} | {value} |" for figure, value in scores.items()]
    return "\n".join(rows)


def _confidence(temperature: float, calibration: Mapping[str, Any] | None) -> str:
    """What the probabilities are worth."""
    if calibration is None:
        return (
            "There were too few rows to fit a temperature, and the probabilities are not\n"
            "calibrated: compare mean confidence with accuracy above."
        )
    fitted, judged = calibration["temperature"], calibration["held_out"]
    said = f"Logits are divided by {temperature:g} before the softmax, a temperature fitted on "
    if not fitted["determined"]:
        said = (
            "No temperature is best for the rows, so that logits are left as they are; asked were "
        )
    return (
        f"{said}{fitted['rows']}\ndev rows. On the other {judged['rows']}:\n\n"
        "| figure | without | with the temperature |\n|---|---|---|\n"
        f"| log loss | {judged['log_loss_before']:.4f} | {judged['log_loss_after']:.4f} |\n"
        f"| calibration error (ECE, 15 bins) "
        f"| {judged['ece_before']:.4f} | {judged['ece_after']:.4f} |"
    )


def _standard_error(metrics: Mapping[str, Mapping[str, Any]]) -> float:
    """The largest standard error of an accuracy, a binomial share: sqrt(p · (1 - p) / rows)."""
    return max(
        math.sqrt(scores["accuracy"] * (1 - scores["accuracy"]) / scores["rows"])
        for scores in metrics.values()
    )
