"""Describes models in the Open Inference Protocol's words."""

import json
from collections.abc import Sequence

from inference.manifest import TensorManifest, TensorSpec
from inference.model_control import IndexEntry
from inference.model_interface import interface_of
from inference.model_repository import LoadedVersion, ModelStatus, VersionState
from inference.oip_statistics import VersionStatistics
from weir.oip.v2 import open_inference_pb2 as pb

PLATFORM = "onnxruntime_onnx"
_STATES = {
    VersionState.READY: "READY",
    VersionState.LOADING: "LOADING",
    VersionState.UNAVAILABLE: "UNAVAILABLE",
    VersionState.UNLOADED: "UNAVAILABLE",
}


def to_metadata(status: ModelStatus, loaded: LoadedVersion) -> pb.ModelMetadataResponse:
    """Which tensors a version takes and gives, and which versions can be asked."""
    interface = interface_of(loaded.package.manifest)
    return pb.ModelMetadataResponse(
        name=status.name,
        versions=sorted(status.loaded),
        platform=PLATFORM,
        inputs=map(_metadata, interface.inputs),
        outputs=map(_metadata, interface.outputs),
    )


def to_config(status: ModelStatus, loaded: LoadedVersion, most_rows: int) -> pb.ModelConfig:
    """How a version is served; tensors without the axis of rows."""
    manifest = loaded.package.manifest
    interface = interface_of(manifest)
    config = pb.ModelConfig(
        name=status.name,
        platform=PLATFORM,
        backend="onnxruntime",
        max_batch_size=most_rows,
        input=[
            pb.ModelInput(name=spec.name, data_type=_data_type(spec), dims=spec.shape[1:] or [1])
            for spec in interface.inputs
        ],
        output=[
            pb.ModelOutput(name=spec.name, data_type=_data_type(spec), dims=spec.shape[1:] or [1])
            for spec in interface.outputs
        ],
        default_model_filename="model.onnx",
    )
    config.parameters["task"].string_value = manifest.task
    if manifest.labels:
        config.parameters["labels"].string_value = json.dumps(manifest.labels)
    if isinstance(manifest, TensorManifest) and manifest.probabilities:
        config.parameters["probabilities"].string_value = manifest.probabilities
    return config


def to_index(
    entries: Sequence[IndexEntry], *, ready_only: bool
) -> list[pb.RepositoryIndexResponse.ModelIndex]:
    """The repository's versions."""
    return [
        pb.RepositoryIndexResponse.ModelIndex(
            name=entry.model,
            version=entry.version,
            state=_STATES[entry.state],
            reason="unloaded" if entry.state is VersionState.UNLOADED else entry.reason,
        )
        for entry in entries
        if entry.state is VersionState.READY or not ready_only
    ]


def to_statistics(entry: VersionStatistics) -> pb.ModelStatistics:
    """What one version has answered."""
    return pb.ModelStatistics(
        name=entry.model,
        version=entry.version,
        last_inference=entry.last_answer_ms,
        inference_count=entry.rows,
        execution_count=entry.answered,
        inference_stats=pb.InferStatistics(
            success=pb.StatisticDuration(count=entry.answered, ns=entry.answered_ns),
            fail=pb.StatisticDuration(count=entry.failed, ns=entry.failed_ns),
            compute_infer=pb.StatisticDuration(count=entry.rows, ns=entry.model_ns),
        ),
    )


def _metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=spec.datatype, shape=spec.shape
    )


def _data_type(spec: TensorSpec) -> str:
    return "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
