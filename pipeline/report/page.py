"""Puts the page together: words, tables and plots of a run into one HTML file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.audit import audit
from pipeline.compare import Advice, Comparison, advise, band, claims_apply, unplaced
from pipeline.compare.claims import AFTER, BEFORE, SOURCE
from pipeline.errors import PlacementError, ResultsError
from pipeline.export import Refusal, launch_of
from pipeline.plots import DARK, LIGHT, Plot, all_plots, plotting_javascript, write_plots
from pipeline.report.facts import facts, headline, provenance, shown_config, warnings
from pipeline.report.rows import PointTable, point_table
from pipeline.results.checked import check_folders
from pipeline.results.folder import Place, file_at, one_line
from pipeline.results.frames import Results
from pipeline.words import counted, per_million, signed_percent

PAGE, PLOTS = "report.html", "plots"


@dataclass(frozen=True)
class Report:
    """What was written: paths, or addresses in a store."""

    page: str
    plots: tuple[str, ...]


@dataclass(frozen=True)
class ToRun:
    """The point that `placement export` writes a command for; empty: there is none.

    obstacle: why that is not the recommended one; empty where it is.
    """

    point_id: str
    obstacle: str = ""


def write_report(
    results: Results, page: Place, tolerance_percent: float, plot_files: bool = True
) -> Report:
    """Write the page of a run, and its plots into a folder beside it. Raises ResultsError."""
    folder, name = file_at(page)
    beside = _plots_folder(name) if plot_files else ""
    comparison = Comparison(results)
    advice = advise(comparison, tolerance_percent)
    plots = [] if advice is None else all_plots(comparison, advice.best)
    html = render(comparison, advice, plots, beside)
    try:
        folder.make()
        check_folders([folder / beside] if beside else [])
        folder.write(name, html.encode())
        written = write_plots(plots, folder / beside) if beside else []
    except OSError as error:
        raise ResultsError(f"{folder / name}: cannot be written: {one_line(error)}") from error
    return Report(str(folder / name), tuple(written))


def _plots_folder(page: str) -> str:
    """Name the folder of a page's plots: its own, so that pages may lie in one folder."""
    return PLOTS if page == PAGE else f"{page.rpartition('.')[0] or page}-{PLOTS}"


def render(
    comparison: Comparison, advice: Advice | None, plots: list[Plot], plot_files: str = PLOTS
) -> str:
    """Return the page. Whatever comes from configs and tables is escaped.

    plot_files: the folder beside the page in which its plots are files; empty: they are none.
    """
    results = comparison.results
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "per_million": per_million,
        "signed_percent": signed_percent,
        "band": band,
        "counted": counted,
    }
    template = environment.from_string(_asset("page.html.j2"))
    keep = {row.point_id for row in comparison.granularities}
    table = point_table(results, keep)
    config = json.dumps(shown_config(results.run["config"]), indent=2, ensure_ascii=False)
    return template.render(
        title=str(results.run["name"]),
        headline=headline(results, advice),
        warnings=warnings(results),
        facts=[] if advice is None else facts(comparison, advice, verification(results)),
        to_run=ToRun("") if advice is None else to_run(results, advice.best.point_id),
        best_stages=[] if advice is None else table.placements.get(advice.best.point_id, []),
        swept_fields=list(results.run["swept_fields"]),
        granularities=comparison.granularities,
        methods=comparison.methods,
        claims=comparison.claims,
        has_target_band=claims_apply(results),
        claim_names={"source": SOURCE, "before": BEFORE, "after": AFTER},
        unplaced=unplaced(results),
        baseline=results.run["baseline"],
        plots={plot.name: plot for plot in plots},
        plot_files=plot_files,
        table=table,
        provenance=provenance(results),
        config=config,
        style=Markup(_asset("page.css")),
        plotting=_script(plotting_javascript()) if plots else "",
        script=_script(_asset("page.js")),
        data=script_json(_page_data(plots, table)),
    )


def script_json(value: Any) -> Markup:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def to_run(results: Results, best_id: str) -> ToRun:
    """Tell which point can be run with vLLM: the recommended one, or the cheapest that can."""
    try:
        launch = launch_of(results, best_id)
    except (PlacementError, KeyError, ValueError):
        return ToRun(best_id)  # the command itself says what is wrong with the run
    if isinstance(launch, Refusal):
        return ToRun(launch.alternative or "", str(launch))
    return ToRun(best_id)


def verification(results: Results) -> str:
    """Recompute every placement from the config alone, and say what came of it."""
    try:
        found = audit(results.directory)
    except (PlacementError, KeyError, ValueError) as error:
        return f"The placements could not be recomputed: {error}."
    number = counted(found.placements, "placement")
    if found.mismatches:
        return (
            f"WRONG: recomputing {number} from the config alone contradicts "
            f"{counted(len(found.mismatches), 'stored figure')}."
        )
    return f"All {number} were recomputed from the config alone for this page and hold."


def _page_data(plots: list[Plot], table: PointTable) -> dict[str, Any]:
    return {
        "plots": {plot.name: plot.spec for plot in plots},
        "themes": {"light": LIGHT, "dark": DARK},
        "placements": table.placements,
    }


def _asset(name: str) -> str:
    return (files("pipeline.report") / "assets" / name).read_text(encoding="utf-8")


def _script(text: str) -> Markup:
    """Return a script of this package or of the plotting library for its element."""
    return Markup(text.replace("</script", "<\\/script"))
