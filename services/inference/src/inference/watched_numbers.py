"""Takes the numbers out of a row that its package has drift watch."""

import math
from collections.abc import Mapping, Sequence

from inference.domain import WatchedValues
from inference.manifest import TensorManifest, WatchedNumber
from inference.tensor_values import Array


class WatchedNumbers:
    """What a package has watched of its inputs and outputs."""

    def __init__(self, manifest: TensorManifest) -> None:
        inputs = {spec.name for spec in manifest.inputs.tensors}
        self._features = [each for each in manifest.watched if each.tensor in inputs]
        self._predicted = [each for each in manifest.watched if each.tensor not in inputs]

    def of(self, row: Mapping[str, Array], outputs: Mapping[str, Array]) -> WatchedValues | None:
        """Those of one row and its outputs; None where nothing is watched."""
        if not self._features and not self._predicted:
            return None
        features = _values(self._features, row)
        return WatchedValues(
            features=features,
            out_of_range=tuple(
                each.title for each in self._features if _is_outside(each, features[each.title])
            ),
            predicted=_values(self._predicted, outputs),
        )


def _values(watched: Sequence[WatchedNumber], row: Mapping[str, Array]) -> dict[str, float]:
    found = {}
    for each in watched:
        numbers = row[each.tensor]
        # A row of a tensor without a fixed length may be too short to have it.
        found[each.title] = float(numbers.flat[each.column]) if each.column < numbers.size else _NAN
    return found


def _is_outside(watched: WatchedNumber, value: float) -> bool:
    """Nothing is outside of a range that is not stated, and a missing value is in none."""
    return (watched.minimum is not None and value < watched.minimum) or (
        watched.maximum is not None and value > watched.maximum
    )


_NAN = math.nan
