"""A measurement file in, a catalogue file of fitted constants out."""

from __future__ import annotations

from pathlib import Path

from pipeline.constant_fit import fit_constants
from pipeline.held_out import prediction_spread
from pipeline.measurements import read_measurements
from pipeline.roofline.constant_files import write_constants
from pipeline.roofline.constants import ConstantTable


def calibrate(csv_path: str | Path, out_path: str | Path) -> ConstantTable:
    """Fit the constants on a CSV of the documented form and write them as a catalogue file.

    The prediction spread comes from rows that their fits had not seen. Constants that the data
    could not determine keep their prior; `undetermined()` of the answer lists them. Raises
    MeasurementError for a CSV at fault.
    """
    measurements = read_measurements(csv_path)
    sources = ", ".join(sorted({entry.source for entry in measurements}))
    provenance = f"fitted on {len(measurements)} rows of {Path(csv_path).name}: {sources}"
    table = fit_constants(measurements, provenance, prediction_spread(measurements))
    write_constants(table, out_path)
    return table
