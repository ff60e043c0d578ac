"""Evidently at its defaults: which windows does it alarm at?

Runs in an environment of its own: for each line of its input, the name of a .npz file, it prints a
JSON object.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import Report
from evidently.metrics import DriftedColumnsCount

warnings.simplefilter("ignore")


def alarms(reference: np.ndarray, windows: np.ndarray) -> dict[str, float]:
    """Any drifted column is an alarm; `dataset` counts its own verdict, half of the columns."""
    names = [f"s{place}" for place in range(reference.shape[1])]
    rows = pd.DataFrame(reference, columns=names)
    any_column, dataset = [], []
    for window in windows:
        current = pd.DataFrame(window, columns=names)
        # What its preset for data drift counts, too, without a picture of each column.
        result = Report([DriftedColumnsCount()]).run(current, rows).dict()
        counted = next(m["value"] for m in result["metrics"] if "count" in str(m["value"]))
        any_column.append(counted["count"] > 0)
        dataset.append(counted["share"] >= 0.5)
    return {"alarms": float(np.mean(any_column)), "dataset": float(np.mean(dataset))}


def main() -> None:
    """Answers until its input ends; what the library prints goes elsewhere."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        with np.load(line.strip()) as case:
            found = alarms(case["reference"], case["windows"])
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
