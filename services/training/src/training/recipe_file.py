"""Reads a recipe from YAML and options, and explains its keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from training.domain import InputError
from training.recipe import Recipe
from training.recipe_section import Section


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is written twice: YAML would take the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            line = node.start_mark.line + 1
            raise InputError(f"line {line}: {', '.join(twice)} given twice")
        return super().construct_mapping(node, deep)


def read_settings(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises InputError when there is none."""
    try:
        content = _StrictLoader(path.read_text(encoding="utf-8")).get_single_data()
    except InputError as exc:
        raise InputError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: not YAML ({exc})") from exc
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a recipe: no keys")
    return content


def make_recipe(settings: Mapping[str, Any], origin: str) -> Recipe:
    """Check settings against the schema; ``origin`` begins the complaint. Raises InputError."""
    try:
        return Recipe.model_validate(dict(settings))
    except ValidationError as exc:
        raise InputError(f"{origin}: " + "; ".join(_complaints(exc))) from exc


def change(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with values at dotted keys (``training.epochs``) replaced; the original stays.

    Raises InputError where a dotted key leads through something that has no keys.
    """
    changed = dict(settings)
    for dotted, value in changes.items():
        head, _, rest = dotted.partition(".")
        if not rest:
            changed[head] = value
            continue
        # A section that is absent or null takes its defaults and the change.
        inner = changed.get(head) or {}
        if not isinstance(inner, Mapping):
            raise InputError(f"{dotted}: {head} has no keys")
        changed[head] = change(inner, {rest: value})
    return changed


def parse_change(assignment: str) -> tuple[str, Any]:
    """Split ``training.ema=0.999`` into key and YAML value. Raises InputError."""
    key, equals, value = assignment.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {assignment!r}: give key=value, such as training.epochs=2")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as exc:
        raise InputError(f"--set {assignment!r}: {value!r} is not a YAML value") from exc


def explain(model: type[Section] = Recipe, indent: int = 0) -> Iterator[str]:
    """Every key of the recipe as lines of commented YAML, in order, with its default."""
    space = "  " * indent
    for key, field in model.model_fields.items():
        inner = _section_of(field)
        yield f"{space}# {field.description}"
        if inner is None:
            yield f"{space}{key}: {_default(field)}"
            continue
        optional = "" if field.is_required() or field.get_default() is not None else "  # or null"
        listed = "tuple" in str(field.annotation)
        yield f"{space}{key}:{optional}" + ("  # a list; each entry has" if listed else "")
        yield from explain(inner, indent + 1)


def _section_of(field: FieldInfo) -> type[Section] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "…  # must be given"
    plain = list(default) if isinstance(default, tuple) else default
    return yaml.safe_dump(plain, default_flow_style=True, width=200).splitlines()[0]


def _complaints(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = ".".join(str(step) for step in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{where}: unknown key{_did_you_mean(problem['loc'])}"
        elif problem["type"] == "missing":
            yield f"{where}: must be given"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{where}: {message}" if where else message


def _did_you_mean(path: tuple[int | str, ...]) -> str:
    model: type[Section] | None = Recipe
    for step in path[:-1]:
        if isinstance(step, str) and model is not None and step in model.model_fields:
            model = _section_of(model.model_fields[step])
    if model is None:
        return ""
    close = difflib.get_close_matches(str(path[-1]), model.model_fields, n=1)
    return (
        f", did you mean {close[0]}?" if close else f"; known are {', '.join(model.model_fields)}"
    )
