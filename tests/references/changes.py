"""Where river's detectors fire on the series of the catalogue's changes.toml, at the same settings.

Usage: changes.py FOLDER

Reads FOLDER/jobs/catalog/data, and writes FOLDER/changes.jsonl with a line {detector, drifts} for each detector of the
job that river 0.26.1 has too.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

from detectors import fired
from river import drift


def column(path, value):
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rt", newline="") as rows:
        return [value(row) for row in csv.DictReader(rows)]


def main(folder):
    data = folder / "jobs/catalog/data"
    sea = data / "sea_drift.csv.gz"
    wrong = lambda row: int((float(row["x0"]) + float(row["x1"]) > 8) != (row["y"] == "1"))
    series = {
        "quality": (column(data / "quality_control_2.csv", lambda row: float(row["V1"])), drift.ADWIN()),
        "running": (
            column(data / "run_log.csv", lambda row: float(row["Pace"])),
            drift.ADWIN(clock=1, delta=0.05),
        ),
        "passengers": (
            column(data / "jfk_passengers.csv", lambda row: float(row["Number of Passengers"])),
            drift.ADWIN(),
        ),
        "errors": (column(sea, wrong), drift.ADWIN()),
        "steady": (column(sea, lambda row: float(row["x0"])), drift.ADWIN()),
        "rain": (
            column(data / "noaa_weather.csv.gz", lambda row: int(row["rain"])),
            drift.binary.HDDMW(),
        ),
    }
    with open(folder / "changes.jsonl", "w") as out:
        for name, (values, detector) in series.items():
            out.write(json.dumps({"detector": name, "drifts": list(fired(detector, values))}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
