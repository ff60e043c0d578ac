"""Makes a version of a model ready to answer; called off the event loop, for it takes seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inference.manifest import TextManifest
from inference.package import ModelPackage, read_package
from inference.runnable import RunnableModel
from inference.tensor_model import load_tensor_model
from inference.text_classifier import load_classifier


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that passed its self-test."""

    package: ModelPackage
    model: RunnableModel
    loaded_at: datetime


def load_version(directory: Path) -> LoadedVersion:
    """Reads, checks, loads and tests a package.

    Raises:
        PackageInvalid: it must not serve.
    """
    package = read_package(directory)
    manifest = package.manifest
    model: RunnableModel
    if isinstance(manifest, TextManifest):
        model = load_classifier(package, manifest)
    else:
        model = load_tensor_model(package, manifest)
    return LoadedVersion(package, model, datetime.now(UTC))
