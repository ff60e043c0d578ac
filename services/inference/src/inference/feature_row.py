"""A row of a table, by feature name, as the tensors of a model that has one for each feature."""

from collections.abc import Mapping, Sequence

import numpy as np

from inference.domain import Fault, FeatureValue, Rejection
from inference.manifest import TensorSpec
from inference.tensor_values import Array, array_of

_COLUMNS = ((), (1,))
"""What may follow the axis of rows."""


def row_of(
    features: Mapping[str, FeatureValue], specs: Sequence[TensorSpec]
) -> dict[str, Array] | Rejection:
    """One row of tensors. A feature that is missing is NaN where a float can tell so."""
    if any(spec.shape[1:] not in _COLUMNS for spec in specs):
        return Rejection(Fault.INPUT_KIND, "This model takes tensors, not features by name.")
    unknown = features.keys() - {spec.name for spec in specs}
    if unknown:
        takes = ", ".join(spec.name for spec in specs)
        return Rejection(Fault.TENSORS_INVALID, f"This model takes the features {takes}.")
    row = {}
    for spec in specs:
        value = features.get(spec.name)
        if value is None and spec.datatype.startswith("FP"):
            value = float("nan")
        if isinstance(value, float) and spec.datatype.startswith(("INT", "UINT")):
            # The contract knows one kind of number.
            value = int(value) if value.is_integer() else value
        try:
            if value is None or isinstance(value, str) != (spec.datatype == "BYTES"):
                raise ValueError
            array = array_of(np.asarray(value), spec.datatype)
        except (ValueError, OverflowError, TypeError):
            message = f"The feature {spec.name} is missing, or no {spec.datatype}."
            return Rejection(Fault.TENSORS_INVALID, message)
        row[spec.name] = array.reshape((1, *spec.shape[1:]))
    return row
