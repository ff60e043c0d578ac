"""Evidently at its defaults: which windows does its preset for data drift alarm at?

Runs in an environment of its own: with_evidently.py CASE.npz prints a JSON object.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

warnings.simplefilter("ignore")


def main() -> None:
    """Any drifted column is an alarm; `dataset` counts its own verdict, half of the columns."""
    with np.load(sys.argv[1]) as case:
        names = [f"s{place}" for place in range(case["reference"].shape[1])]
        reference = pd.DataFrame(case["reference"], columns=names)
        windows = case["windows"]
    any_column, dataset = [], []
    for window in windows:
        current = pd.DataFrame(window, columns=names)
        result = Report([DataDriftPreset()]).run(current, reference).dict()
        counted = next(m["value"] for m in result["metrics"] if "count" in str(m["value"]))
        any_column.append(counted["count"] > 0)
        dataset.append(counted["share"] >= 0.5)
    print(json.dumps({"alarms": np.mean(any_column), "dataset": np.mean(dataset)}))


if __name__ == "__main__":
    main()
