"""Makes a version of a model ready to answer; called off the event loop, for it takes seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inference.manifest import TextManifest
from inference.package import ModelPackage, PackageInvalid, read_package
from inference.runnable import RunnableModel
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
    if not isinstance(manifest, TextManifest):
        raise PackageInvalid(f"{package}: models of tensors are not served")
    return LoadedVersion(package, load_classifier(package, manifest), datetime.now(UTC))
