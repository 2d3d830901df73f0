"""Random streams of 20 shapes, and the rows at which river's detectors fire on them.

Usage: detectors.py FOLDER

Writes FOLDER/<stream>.csv with one column `value`, and FOLDER/detectors.jsonl with a line
{stream, detector, params, drifts} for each detector and stream; rows count from 0.
river 0.26.1 has no CUSUM, and its KSWIN draws at random: these two are not here.
"""

import json
import math
import random
import sys
from pathlib import Path

from river import drift

ROWS = 3000


def steps(levels, noise):
    def value(dice, row):
        return levels[row * len(levels) // ROWS] + noise(dice)

    return value


def normal(deviation):
    return lambda dice: dice.gauss(0, deviation)


def share(of):
    return lambda dice, row: int(dice.random() < of(row / ROWS))


NUMBERS = {
    "flat": steps([5], normal(1)),
    "one-step": steps([0, 1], normal(1)),
    "stairs": steps([0, 1, 2, 3], normal(1)),
    "there-and-back": steps([0, 2, 0], normal(1)),
    "down": steps([10, 7], normal(2)),
    "ramp": lambda dice, row: row / 1000 + dice.gauss(0, 0.5),
    "wave": lambda dice, row: math.sin(row / 200) + dice.gauss(0, 0.3),
    "wider": lambda dice, row: dice.gauss(0, 1 if row < ROWS / 2 else 4),
    "counts": lambda dice, row: sum(dice.random() < 0.3 for _ in range(10 + 10 * (row > 2000))),
    "lognormal": lambda dice, row: dice.lognormvariate(0 if row < 1200 else 0.7, 0.6),
    "outliers": lambda dice, row: dice.gauss(0, 1) + (100 if dice.random() < 0.005 else 0),
    "tiny": steps([1e-6, 2e-6], normal(5e-7)),
}
BITS = {
    "few-errors": share(lambda t: 0.05),
    "many-errors": share(lambda t: 0.45),
    "more-errors": share(lambda t: 0.1 if t < 0.5 else 0.3),
    "fewer-errors": share(lambda t: 0.4 if t < 0.5 else 0.1),
    "slowly-more": share(lambda t: 0.05 + 0.5 * t),
    "bursts": share(lambda t: 0.7 if int(t * 10) % 4 == 3 else 0.1),
    "late-step": share(lambda t: 0.15 if t < 0.9 else 0.6),
    "mostly-right": share(lambda t: 0.002 if t < 0.6 else 0.03),
}
# Detector, parameters by our names, parameters by river's, river's class.
OF_NUMBERS = [
    ("adwin", {}, {}, drift.ADWIN),
    ("adwin", {"delta": 0.05, "clock": 1}, {"delta": 0.05, "clock": 1}, drift.ADWIN),
    ("page_hinkley", {}, {}, drift.PageHinkley),
    (
        "page_hinkley",
        {"threshold": 10, "delta": 0.1, "direction": "down"},
        {"threshold": 10, "delta": 0.1, "mode": "down"},
        drift.PageHinkley,
    ),
]
OF_BITS = [
    ("adwin", {}, {}, drift.ADWIN),
    ("ddm", {}, {}, drift.binary.DDM),
    ("ddm", {"warm_start": 100}, {"warm_start": 100}, drift.binary.DDM),
    ("eddm", {}, {}, drift.binary.EDDM),
    ("eddm", {"alpha": 0.8, "beta": 0.75}, {"alpha": 0.8, "beta": 0.75}, drift.binary.EDDM),
    ("fhddm", {}, {}, drift.binary.FHDDM),
    ("hddm_a", {}, {}, drift.binary.HDDMA),
    ("hddm_a", {"direction": "both"}, {"two_sided_test": True}, drift.binary.HDDMA),
    ("hddm_w", {}, {}, drift.binary.HDDMW),
    ("hddm_w", {"lambda": 0.1}, {"lambda_val": 0.1}, drift.binary.HDDMW),
]


def fired(detector, values):
    for row, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            yield row


def main(folder):
    with open(folder / "detectors.jsonl", "w") as out:
        for streams, detectors in [(NUMBERS, OF_NUMBERS), (BITS, OF_BITS)]:
            for name, value in streams.items():
                dice = random.Random(name)
                values = [value(dice, row) for row in range(ROWS)]
                text = "\n".join(["value", *(repr(value) for value in values)])
                (folder / f"{name}.csv").write_text(text + "\n")
                for detector, params, theirs, make in detectors:
                    line = {"stream": name, "detector": detector, "params": params}
                    line["drifts"] = list(fired(make(**theirs), values))
                    out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
