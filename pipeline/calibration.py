"""A measurement file in, a catalogue file of fitted constants out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.catalogue import CatalogueError
from pipeline.constant_fit import check_fittable, fit_constants
from pipeline.errors import printable
from pipeline.grids import Grid, figures, names, texts
from pipeline.held_out import (
    Tell,
    number_of_fits,
    prediction_spread,
    spread_splits,
    tell_nobody,
)
from pipeline.measurements import NONE, MeasurementError, OwnGpus, read_measurements
from pipeline.roofline.constant_files import write_constants
from pipeline.roofline.constants import DETERMINED, ConstantTable, from_scale, to_scale
from pipeline.words import counted

EIGHTY_PERCENT = 1.2816


@dataclass(frozen=True)
class ConstantSummary:
    """One constant away from any GPU or engine: prior, fitted value and its 80 % range.

    determined: share of the prior's variance that the data removed.
    """

    name: str
    prior: float
    value: float
    low: float
    high: float
    determined: float


def calibrate(
    csv_path: str | Path,
    out_path: str | Path,
    tell: Tell = tell_nobody,
    hardware: OwnGpus = NONE,
    start: ConstantTable | None = None,
) -> ConstantTable:
    """Fit the constants on a CSV of the documented form and write them as a catalogue file.

    The prediction spread comes from rows that their fits had not seen. Constants that the data
    could not determine stay near their prior; `undetermined()` of the answer lists them. start:
    constants to start from instead of the priors; what no row touches stays as it is there. Raises
    MeasurementError for a CSV at fault, and for one whose fit no command could read again.
    """
    measurements = read_measurements(csv_path, hardware)
    name = printable(Path(csv_path).name)
    check_fittable(measurements, name)
    sources = ", ".join(sorted({entry.source for entry in measurements}))
    provenance = f"fitted on {counted(len(measurements), 'row')} of {name}: {sources}"
    if start is not None:
        provenance = f"{start.provenance}; then {provenance}"
    spread = prediction_spread(measurements, tell, start)
    fits = number_of_fits(spread_splits(measurements))
    tell(fits, fits + 1, "all rows")
    table = fit_constants(measurements, provenance, spread, start)
    try:
        write_constants(table, out_path)
    except CatalogueError as error:
        reason = "gives constants that no command could read"
        faults = error.message().split("\n")
        raise MeasurementError([f"{name}: file: {reason}: {fault}" for fault in faults]) from error
    return table


def summaries(table: ConstantTable) -> tuple[ConstantSummary, ...]:
    """Summary of every constant that was fitted, in the order of the fit."""
    found = []
    for effect in table.effects:
        if effect.level != "all":
            continue
        prior = table.priors[effect.constant]
        centre = to_scale(prior.value, prior.fraction) + effect.mean
        low, middle, high = (
            float(from_scale(centre + step * effect.deviation, prior.fraction))
            for step in (-EIGHTY_PERCENT, 0.0, EIGHTY_PERCENT)
        )
        summary = ConstantSummary(
            effect.constant, prior.value, middle, low, high, effect.determined
        )
        found.append(summary)
    return tuple(found)


def calibration_table(table: ConstantTable) -> Grid:
    """Lay the fitted constants out for people, saying which the data could not determine."""
    columns = [
        names("constant"),
        figures("prior", spare=1),
        figures("fitted"),
        figures("80 % range"),
        texts("determined"),
    ]
    layout = Grid(table.provenance, columns)
    for entry in summaries(table):
        share = f"{100.0 * entry.determined:.0f} %"
        verdict = share if entry.determined >= DETERMINED else f"{share}: near its prior"
        numbers = (
            f"{entry.prior:.3g}",
            f"{entry.value:.3g}",
            f"{entry.low:.3g} to {entry.high:.3g}",
        )
        layout.add_row(entry.name, *numbers, verdict)
    return layout
