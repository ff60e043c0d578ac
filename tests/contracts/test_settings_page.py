"""The page on settings that count without a restart names every file that a service reads."""

import re
from collections import defaultdict
from pathlib import Path
from typing import get_args

import drift.settings
import gateway.settings
import inference.settings
import prediction_log.settings
from servicekit.settings import EnvironmentSettings

PAGE = Path(__file__).resolve().parents[2] / "deploy" / "runbooks" / "settings.md"
SERVICES: dict[str, type[EnvironmentSettings]] = {
    "gateway": gateway.settings.Settings,
    "inference": inference.settings.Settings,
    "prediction_log": prediction_log.settings.Settings,
    "drift": drift.settings.Settings,
}
_ROW = re.compile(r"^\| `WEIR_([A-Z_]+)` \| ([^|]+) \|", re.MULTILINE)


def _files_by_setting() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for service, settings in SERVICES.items():
        for name, field in settings.model_fields.items():
            if Path in (field.annotation, *get_args(field.annotation)):
                found[name.upper()].add(service)
    return found


def test_every_file_and_directory_is_on_the_page_with_who_reads_it() -> None:
    told = {
        name: set(SERVICES) if readers.strip() == "all" else set(readers.strip().split(", "))
        for name, readers in _ROW.findall(PAGE.read_text())
    }
    assert told == _files_by_setting()
