"""NannyML at its defaults: alarms of its univariate drift, and accuracy estimated by CBPE.

Runs in an environment of its own: for each line of its input, the name of a .npz file, it prints a
JSON object: alarms, or accuracies where the file says so.
"""

import json
import sys
import warnings

import nannyml
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def alarms(reference: np.ndarray, windows: np.ndarray) -> float:
    """Share of the windows in which any column alarms."""
    names = [f"s{place}" for place in range(reference.shape[1])]
    calculator = nannyml.UnivariateDriftCalculator(names, chunk_size=windows.shape[1])
    calculator.fit(pd.DataFrame(reference, columns=names))
    rows = pd.DataFrame(windows.reshape(-1, len(names)), columns=names)
    table = calculator.calculate(rows).filter(period="analysis").to_df()
    alerts = table.loc[:, [column for column in table.columns if column[-1] == "alert"]]
    return float(alerts.any(axis=1).mean())


def accuracies(reference: np.ndarray, windows: list[np.ndarray]) -> list[float]:
    """Of each window; columns are the probability of 1, the prediction and, before, the truth."""
    names = ["probability", "prediction", "truth"]
    rows = pd.DataFrame(reference, columns=names)
    estimator = nannyml.CBPE(
        metrics=["accuracy"],
        y_pred_proba="probability",
        y_pred="prediction",
        y_true="truth",
        problem_type="classification_binary",
        chunk_number=1,
    )
    estimator.fit(rows)
    found = []
    for window in windows:
        table = estimator.estimate(pd.DataFrame(window, columns=names[:2]))
        found.append(float(table.filter(period="analysis").to_df()["accuracy", "value"].iloc[0]))
    return found


def main() -> None:
    """Answers until its input ends; what the library prints goes elsewhere."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        with np.load(line.strip()) as case:
            if "reference" in case:
                found = {"alarms": alarms(case["reference"], case["windows"])}
            else:
                names = sorted(name for name in case.files if name.startswith("window-"))
                found = {"accuracies": accuracies(case["outcomes"], [case[n] for n in names])}
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
