"""Runs an ONNX graph of named tensors that is what its manifest says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.manifest import Datatype, TensorManifest, TensorSpec
from inference.onnx_backend import open_session
from inference.tensor_values import DTYPES, Array, as_bytes, as_strings

_TYPES: Mapping[Datatype, str] = {
    "BOOL": "tensor(bool)",
    "UINT8": "tensor(uint8)",
    "UINT16": "tensor(uint16)",
    "UINT32": "tensor(uint32)",
    "UINT64": "tensor(uint64)",
    "INT8": "tensor(int8)",
    "INT16": "tensor(int16)",
    "INT32": "tensor(int32)",
    "INT64": "tensor(int64)",
    "FP16": "tensor(float16)",
    "FP32": "tensor(float)",
    "FP64": "tensor(double)",
    "BYTES": "tensor(string)",
}


class TensorGraph:
    """A session that several threads run at once.

    Raises:
        ValueError: the file is no graph that the runtime can run, or not the one declared.
    """

    def __init__(self, path: Path, manifest: TensorManifest) -> None:
        self._session = open_session(path)
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        outputs = {entry.name: entry for entry in self._session.get_outputs()}
        undeclared = inputs.keys() - {spec.name for spec in manifest.inputs.tensors}
        if undeclared:
            raise ValueError(f"the graph also takes {', '.join(sorted(undeclared))}")
        for specs, entries in ((manifest.inputs.tensors, inputs), (manifest.outputs, outputs)):
            for spec in specs:
                _check(spec, entries)
        self._texts = {spec.name for spec in manifest.inputs.tensors if spec.datatype == "BYTES"}
        self._outputs = {spec.name: spec for spec in manifest.outputs}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The declared outputs.

        Raises:
            ValueError: the runtime failed on the feeds, or gave what is not declared.
        """
        given = {
            name: as_strings(array)
            if name in self._texts
            else array.astype(array.dtype.newbyteorder("="), copy=False)
            for name, array in feeds.items()
        }
        try:
            found: Sequence[Any] = self._session.run(list(self._outputs), given)
        except Exception as error:
            # The runtime's exceptions have no base class of their own, and tell of the input.
            raise ValueError(f"the graph failed: {type(error).__name__}") from None
        outputs = dict(zip(self._outputs, found, strict=True))
        for name, spec in self._outputs.items():
            if spec.datatype == "BYTES":
                outputs[name] = as_bytes(outputs[name])
            if outputs[name].dtype != DTYPES[spec.datatype]:
                raise ValueError(f"the graph gave {name} of another type than declared")
        return outputs


def _check(spec: TensorSpec, entries: Mapping[str, Any]) -> None:
    entry = entries.get(spec.name)
    if entry is None:
        raise ValueError(f"the graph has no {spec.name}; it has {', '.join(sorted(entries))}")
    if entry.type != _TYPES[spec.datatype]:
        raise ValueError(f"{spec.name} is declared as {spec.datatype} and is a {entry.type}")
    # A graph may leave the shape of an output open.
    if entry.shape and (
        len(entry.shape) != len(spec.shape)
        or any(
            isinstance(length, int) and length != declared
            for length, declared in zip(entry.shape, spec.shape, strict=False)
        )
    ):
        shape = [length if isinstance(length, int) else -1 for length in entry.shape]
        raise ValueError(f"{spec.name} is declared as {list(spec.shape)} and is {shape}")
