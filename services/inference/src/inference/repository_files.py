"""What lies in the model repository, as cheaply as it can be told; nothing is loaded here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.package import PackageInvalid, brief
from inference.routing import NAME, Routing, read_routing

Signature = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of each file of a package; a change of them may be a change."""


class RepositoryUnreadable(Exception):
    """The repository as a whole cannot be read; what it held a moment ago is not gone."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's directory at one moment."""

    routing: Routing | None
    fault: str
    """Why there is no routing; empty when there is, and when there is no file."""
    packages: Mapping[str, Signature]
    """By version; a directory without `model.yaml`, which is written last, is none yet."""


def scan(root: Path) -> Mapping[str, ModelFiles]:
    """The models of a repository, by name: directories with a routing or a package.

    Raises:
        RepositoryUnreadable: `root` cannot be listed.
    """
    try:
        directories = _directories(root)
    except OSError as error:
        raise RepositoryUnreadable(brief(error)) from error
    found = {directory.name: _model_files(directory) for directory in directories}
    return {
        name: files
        for name, files in found.items()
        if files.routing or files.fault or files.packages
    }


def _model_files(directory: Path) -> ModelFiles:
    packages: dict[str, Signature] = {}
    try:
        for each in _directories(directory):
            signature = _signature(each)
            if signature:
                packages[each.name] = signature
        has_routing = (directory / "routing.yaml").exists()
        return ModelFiles(read_routing(directory) if has_routing else None, "", packages)
    except PackageInvalid as error:
        return ModelFiles(None, str(error), packages)
    except OSError as error:
        return ModelFiles(None, f"{directory.name}: {brief(error)}", packages)


def _signature(directory: Path) -> Signature | None:
    """None while there is no `model.yaml`."""
    entries = []
    for file in directory.iterdir():
        try:
            status = file.stat()
        except OSError:
            # It went away meanwhile, or leads nowhere: the next look sees another signature.
            continue
        entries.append((file.name, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(sorted(entries)) if any(name == "model.yaml" for name, *_ in entries) else None


def _directories(root: Path) -> list[Path]:
    return [each for each in sorted(root.iterdir()) if NAME.fullmatch(each.name) and each.is_dir()]
