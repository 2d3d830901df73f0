"""Random data of 20 shapes, and how far its two sides are apart by scipy, Evidently and NannyML.

Usage: measures.py FOLDER

Writes FOLDER/<shape>-reference.csv and FOLDER/<shape>-current.csv with one column `value`, and
FOLDER/measures.jsonl with a line {shape, kind, compat, measure, value} for each answer of a library.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from evidently.legacy.calculations import stattests as evidently
from evidently.legacy.core import ColumnType
from nannyml.chunk import CountBasedChunker
from nannyml.drift.univariate.methods import FeatureType, MethodFactory
from nannyml.thresholds import ConstantThreshold
from scipy import stats
from scipy.spatial.distance import jensenshannon

warnings.filterwarnings("ignore")
WHOLE = CountBasedChunker(1)
WIDE = ConstantThreshold(upper=math.inf)
dice = np.random.default_rng(20260101)


def categories(names, shares, rows):
    return dice.choice(names, size=rows, p=np.array(shares) / np.sum(shares))


def zipf(count):
    return [1 / rank**1.1 for rank in range(1, count + 1)]


NUMBERS = {
    "same-normal": (dice.normal(0, 1, 500), dice.normal(0, 1, 400)),
    "shifted-normal": (dice.normal(0, 1, 500), dice.normal(0.4, 1, 700)),
    "wider-normal": (dice.normal(10, 1, 300), dice.normal(10, 2, 300)),
    "uniform-beta": (dice.uniform(0, 1, 1000), dice.beta(2, 3, 1000)),
    "exponential": (dice.exponential(5, 900), dice.exponential(6, 450)),
    "lognormal": (dice.lognormal(3, 1, 800), dice.lognormal(3.2, 1.1, 800)),
    "counts": (dice.poisson(40, 600), dice.poisson(43, 500)),
    "ratings": (dice.integers(1, 6, 400), dice.integers(2, 6, 350)),
    "rounded": (dice.normal(0, 1, 700).round(1), dice.normal(0.1, 1, 650).round(1)),
    "two-hills": (
        np.concatenate([dice.normal(-3, 1, 300), dice.normal(3, 1, 300)]),
        np.concatenate([dice.normal(-3, 1, 200), dice.normal(3, 1, 400)]),
    ),
    "few-rows": (dice.normal(0, 1, 30), dice.normal(0.5, 1, 25)),
    "many-rows": (dice.normal(0, 1, 12000), dice.normal(0.03, 1.02, 11000)),
    "outliers": (
        np.append(dice.normal(0, 1, 400), [60.0, -45.0]),
        np.append(dice.normal(0, 1, 380), [80.0]),
    ),
    "apart": (dice.uniform(0, 1, 200), dice.uniform(2, 3, 150)),
}
CATEGORIES = {
    "channels": (
        categories(["chat", "email", "voice", "web"], [5, 3, 2, 1], 600),
        categories(["chat", "email", "voice", "web"], [4, 3, 3, 1], 500),
    ),
    "new-one": (
        categories(["a", "b", "c"], [5, 3, 2], 400),
        categories(["a", "b", "c", "d"], [4, 3, 2, 1], 300),
    ),
    "gone": (
        categories(["a", "b", "c", "d"], [4, 3, 2, 1], 400),
        categories(["a", "b", "c"], [5, 3, 2], 500),
    ),
    "two": (categories(["no", "yes"], [7, 3], 300), categories(["no", "yes"], [6, 4], 250)),
    "sixty": (
        categories([f"t{i:02}" for i in range(60)], zipf(60), 3000),
        categories([f"t{i:02}" for i in range(60)], zipf(60)[::-1][:30] + zipf(60)[30:], 2500),
    ),
    "rare": (
        np.append(categories(["a", "b", "c"], [5, 3, 2], 20000), ["seldom"]),
        np.append(categories(["a", "b", "c"], [5, 3, 2], 15000), ["never-seen"]),
    ),
}


def of_scipy(kind, reference, current):
    if kind == "number":
        test = stats.ks_2samp(reference, current)
        yield "ks", test.statistic
        yield "ks_p", test.pvalue
        yield "wasserstein", stats.wasserstein_distance(reference, current)
        return
    names = sorted(set(reference) | set(current))
    n = np.array([np.sum(reference == name) for name in names])
    m = np.array([np.sum(current == name) for name in names])
    yield "kl", stats.entropy(n, m)
    yield "js", jensenshannon(n, m)
    test = stats.chi2_contingency([n, m])
    yield "chi2", test.statistic
    yield "chi2_p", test.pvalue


def of_evidently(kind, reference, current):
    what = ColumnType.Numerical if kind == "number" else ColumnType.Categorical
    tests = {
        "psi": evidently.psi_stat_test,
        "kl": evidently.kl_div_stat_test,
        "js": evidently.jensenshannon_stat_test,
        "hellinger": evidently.hellinger_stat_test,
    }
    if kind == "number":
        tests["ks_p"] = evidently.ks_stat_test
        tests["wasserstein_normed"] = evidently.wasserstein_stat_test
    else:
        tests["chi2_p"] = evidently.chi_stat_test
        if len(set(reference) | set(current)) == 2:
            tests["z_p"] = evidently.z_stat_test
    for name, test in tests.items():
        answer = test.func(pd.Series(reference), pd.Series(current), what, 0.1)
        yield name, getattr(answer, "drift_score", None) or answer[0]


def of_nannyml(kind, reference, current):
    number = kind == "number"
    what = FeatureType.CONTINUOUS if number else FeatureType.CATEGORICAL
    keys = {"js": "jensen_shannon", "hellinger": "hellinger"}
    if number:
        keys |= {"ks": "kolmogorov_smirnov", "wasserstein": "wasserstein"}
    else:
        keys |= {"chi2": "chi2", "linf": "l_infinity"}
    for name, key in keys.items():
        method = MethodFactory.create(key, what, chunker=WHOLE, threshold=WIDE).fit(pd.Series(reference, name="value"))
        yield name, method.calculate(pd.Series(current))


LIBRARIES = {"scipy": of_scipy, "evidently": of_evidently, "nannyml": of_nannyml}


def main(folder):
    shapes = [("number", *shape) for shape in NUMBERS.items()]
    shapes += [("category", *shape) for shape in CATEGORIES.items()]
    with open(folder / "measures.jsonl", "w") as out:
        for kind, shape, sides in shapes:
            for side, values in zip(["reference", "current"], sides):
                text = "\n".join(["value", *(str(value) for value in values.tolist())])
                (folder / f"{shape}-{side}.csv").write_text(text + "\n")
            for compat, library in LIBRARIES.items():
                for measure, value in library(kind, *sides):
                    value = float(value)
                    line = {"shape": shape, "kind": kind, "compat": compat, "measure": measure}
                    line["value"] = value if math.isfinite(value) else str(value)
                    out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
