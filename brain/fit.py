"""Fits the calibrations of brain/support.py: `python -m brain.fit QUESTIONS.jsonl NAME=FOLDER…`.

Logistic regression (Newton's method, L2 = 1 on standardised features) of "the first passage answers" on the features of the
splits `tune` and `held` (English) and `other-tune` (other languages); then the threshold. Prints what to write down; nothing else
is looked at.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain.embed import LocalEmbedder
from brain.evaluate import Outcome, load, measure

SPLITS = {"ENGLISH_CALIBRATION": ("tune", "held"), "OTHER_CALIBRATION": ("other-tune",)}
FITTED = frozenset(split for splits in SPLITS.values() for split in splits)
FEATURES = {"ENGLISH_CALIBRATION": (1, 2, 3, 4), "OTHER_CALIBRATION": (0, 2, 4)}
"""Places in `Features` of those that a calibration uses."""

L2 = 1.0
REFUSED = 0.93
"""What is asked of the calibration is 0.9 on questions that it has not seen: a little more on those that it has."""

Floats = npt.NDArray[np.float64]


def fit(features: Floats, right: Floats) -> Floats:
    """Coefficients (features + 1,), the bias last; shapes (questions, features) and (questions,)."""
    # Features of unlike spread would be held back unlike: they are brought to one before, and back to their own after.
    mean, spread = features.mean(axis=0), features.std(axis=0)
    rows = np.column_stack(((features - mean) / spread, np.ones(len(features))))
    keep = np.full(rows.shape[1], L2)
    keep[-1] = 1e-6
    at = np.zeros(rows.shape[1])
    for _ in range(50):
        told = 1 / (1 + np.exp(-rows @ at))
        slope = rows.T @ (told - right) + keep * at
        curve = (rows * (told * (1 - told))[:, None]).T @ rows + np.diag(keep)
        at = at - np.linalg.solve(curve, slope)
    own = at[:-1] / spread
    return np.append(own, at[-1] - own @ mean)


def threshold(support: Floats, answerable: Floats) -> float:
    """The least support at which REFUSED of what has no answer is refused."""
    return round(float(np.quantile(support[answerable == 0], REFUSED)) + 0.005, 2)


def main(arguments: Sequence[str]) -> None:
    cases = [case for case in load(Path(arguments[0])) if case.split in FITTED]
    corpora = {name: Path(folder) for name, _, folder in (part.partition("=") for part in arguments[1:])}
    outcomes = asyncio.run(measure(cases, corpora, LocalEmbedder()))
    for name, splits in SPLITS.items():
        _show(name, [o for o in outcomes if o.case.split in splits and o.features is not None])


def _show(name: str, outcomes: Sequence[Outcome]) -> None:
    chosen = list(FEATURES[name])
    features = np.array([astuple(o.features)[:5] for o in outcomes if o.features])[:, chosen]
    right = np.array([float(o.ranks["ranked"] == 1) for o in outcomes])
    answerable = np.array([float(o.case.document is not None) for o in outcomes])
    at = fit(features, right)
    support = 1 / (1 + np.exp(-(features @ at[:-1] + at[-1])))
    whole = np.zeros(5)
    whole[chosen] = at[:-1]
    told = ", ".join(f"{value:.2f}" for value in (*whole, at[-1]))
    print(f"{name} = Calibration({told}, {threshold(support, answerable)})  # {len(outcomes)} questions")


if __name__ == "__main__":
    main(sys.argv[1:])
