"""Hands a Pyomo model to HiGHS and brings back a typed answer; knows nothing of placements.

One pass of Pyomo's standard-form compiler and one `passModel` hand the model over; every option
is checked, because a misspelt one would otherwise be ignored. A time limit is an answer (the
incumbent and the bound), not an error.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

import highspy
import numpy as np
import pyomo.core as pyo
from numpy.typing import NDArray
from pyomo.common import dependencies
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.repn.plugins import standard_form
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler, LinearStandardFormInfo

from pipeline.errors import SolverError
from pipeline.settings import SolverSettings

FloatArray = NDArray[np.float64]


def _import_sparse_matrices() -> None:
    """Import of SciPy the sparse matrices that the compiler needs, and no more.

    Pyomo has scipy.stats imported along with any part of SciPy, half a second in every process,
    and needs nothing of it here. Where Pyomo has changed its ways it imports what it likes.
    """
    dependencies.DeferredImportCallbackFinder._callbacks.pop("scipy", None)
    from scipy import sparse

    compiler = standard_form._LinearStandardFormCompiler_impl
    compiler._to_vector = np.fromiter
    compiler._csc_matrix, compiler._csr_matrix = sparse.csc_array, sparse.csr_array


with contextlib.suppress(AttributeError):
    _import_sparse_matrices()


class SolveStatus(StrEnum):
    """What the solver proved of one model; `methods.AnswerStatus` is of an answer."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"  # within the gap that was asked for, but above zero
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True)
class Solution:
    """A solver's answer. objective is None without an incumbent; bound is proven either way.

    bound: no point has a lower objective; minus infinity where nothing was proven, infinity where
    there is no point. variables, constraints: size of the model as handed over.
    """

    status: SolveStatus
    objective: float | None
    bound: float
    variables: int
    constraints: int
    build_seconds: float
    solve_seconds: float

    def __post_init__(self) -> None:
        if self.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE) and self.objective is None:
            raise SolverError(f"status {self.status} without an objective")
        if self.objective is not None and not math.isfinite(self.objective):
            raise SolverError(f"objective is not finite: {self.objective}")


# Costs may differ in the last digits of a price, so no gap is tolerated unless asked for, and
# integrality is held far more tightly than by default.
# The root heuristics are off because on models of 20 integers they take longer than the proof.
# Presolve is off because alone it cannot be trusted with a proof: HiGHS 1.16.0 calls a point
# optimal that is not on a model of this project (tests/test_solver.py holds it), and HiGHS's issues
# 3043 and 3094 show others.
_OPTIONS: Mapping[str, bool | int | float | str] = {
    "output_flag": False,
    "presolve": "off",
    "mip_abs_gap": 0.0,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_detect_symmetry": False,
}
# Objectives that differ by less, relative, are the same.
_SAME = 1e-9


def solve(model: pyo.ConcreteModel, settings: SolverSettings) -> Solution:
    """Minimise a linear model with HiGHS; the incumbent's values are stored in its variables.

    Where it branched, and no gap is allowed, the better of two answers is taken, one of them with
    presolve: HiGHS 1.16.0 calls a model infeasible, or a point optimal, wrongly about once in
    25,000 models of the kind of tests/serving, and goes another way there.

    Raises SolverError for an unknown option, a refused model, or a status that is no answer.
    """
    started = time.perf_counter()
    try:
        form = LinearStandardFormCompiler().write(model, mixed_form=True)
    except InfeasibleConstraintException:
        seconds = time.perf_counter() - started
        return Solution(SolveStatus.INFEASIBLE, None, math.inf, 0, 0, seconds, 0.0)
    highs = _configured(settings)
    _check(highs.passModel(_highs_lp(form)), "passModel")
    handed_over = time.perf_counter()
    _check(highs.run(), "run")
    first = _answer(highs, form, settings, handed_over - started)
    is_proof = first.status in (SolveStatus.OPTIMAL, SolveStatus.INFEASIBLE)
    if not is_proof or settings.mip_gap or highs.getInfo().mip_node_count < 1:
        return first
    left_s = settings.time_limit_s - (time.perf_counter() - handed_over)
    options = {**settings.highs_options, "presolve": "on"}
    again = _configured(replace(settings, time_limit_s=left_s, highs_options=options))
    _check(again.passModel(highs.getLp()), "passModel")
    _check(again.run(), "run")
    return _better(first, again, form, settings)


def _better(
    first: Solution, again: highspy.Highs, form: LinearStandardFormInfo, settings: SolverSettings
) -> Solution:
    """Return the first answer, or that of a second run where it found a lower objective."""
    seconds = first.solve_seconds + again.getRunTime()
    known = first.objective
    is_optimal = again.getModelStatus() == highspy.HighsModelStatus.kOptimal
    found = again.getInfo().objective_function_value if is_optimal else math.inf
    lower = math.inf if known is None else known - _SAME * max(abs(known), 1.0)
    if not found < lower:
        return replace(first, solve_seconds=seconds)
    return replace(_answer(again, form, settings, first.build_seconds), solve_seconds=seconds)


def shadow_prices(
    costs: FloatArray, rows: FloatArray, limits: FloatArray, total: float
) -> FloatArray:
    """Return what one unit more of every limit would save, never below 0.

    Of the linear program: minimise c·x over x ≥ 0 with A·x ≤ b and Σ x = total. costs: c; rows:
    A, shape (limits, columns); limits: b. Raises SolverError where it has no optimum.
    """
    highs = _linear_solver()
    count, columns = rows.shape
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, count + 1
    lp.col_cost_ = costs
    lp.col_lower_, lp.col_upper_ = np.zeros(columns), np.full(columns, math.inf)
    lp.row_lower_ = np.append(np.full(count, -math.inf), total)
    lp.row_upper_ = np.append(limits, total)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.arange(count + 2) * columns
    lp.a_matrix_.index_ = np.tile(np.arange(columns), count + 1)
    lp.a_matrix_.value_ = np.append(rows.ravel(), np.ones(columns))
    _check(highs.passModel(lp), "passModel")
    _check(highs.run(), "run")
    reached = highs.getModelStatus()
    if reached != highspy.HighsModelStatus.kOptimal:
        raise SolverError(f"HiGHS stopped with {highs.modelStatusToString(reached)}")
    duals = np.array(highs.getSolution().row_dual[:count])
    prices: FloatArray = np.maximum(-duals, 0.0)
    return prices


@cache
def _linear_solver() -> highspy.Highs:
    """Return the HiGHS instance of all linear programs: small ones, without a time limit."""
    return _configured(SolverSettings(time_limit_s=math.inf))


class _QuietHighs(highspy.Highs):
    """HiGHS without callbacks: registering them prints a banner before output can be turned off."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Register nothing."""


def _configured(settings: SolverSettings) -> highspy.Highs:
    """Return a HiGHS instance with every option set and checked."""
    highs = _QuietHighs()  # type: ignore[no-untyped-call]
    options = {
        **_OPTIONS,
        "threads": settings.threads,
        "mip_rel_gap": settings.mip_gap,
        "time_limit": max(settings.time_limit_s, 0.0),
        **settings.highs_options,
    }
    for name, value in options.items():
        _check(highs.setOptionValue(name, value), f"option {name} = {value!r}")
    return highs


def _check(status: highspy.HighsStatus, what: str) -> None:
    if status == highspy.HighsStatus.kError:
        raise SolverError(f"HiGHS refused {what}")


def _highs_lp(form: LinearStandardFormInfo) -> highspy.HighsLp:
    """Translate Pyomo's standard form into HiGHS's: minimise c·x, row bounds, column bounds."""
    rows, columns = form.A.shape
    matrix = form.A.tocsc()
    sense = np.fromiter((row.bound_type for row in form.rows), dtype=np.int64, count=rows)
    rhs = np.asarray(form.rhs, dtype=np.float64)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_ = form.c.toarray().ravel()
    lp.offset_ = float(form.c_offset[0])
    lp.col_lower_ = np.array([-math.inf if v.lb is None else v.lb for v in form.columns])
    lp.col_upper_ = np.array([math.inf if v.ub is None else v.ub for v in form.columns])
    lp.row_lower_ = np.where(sense <= 0, rhs, -math.inf)
    lp.row_upper_ = np.where(sense >= 0, rhs, math.inf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
    lp.a_matrix_.value_ = matrix.data
    lp.integrality_ = [
        highspy.HighsVarType.kContinuous if v.is_continuous() else highspy.HighsVarType.kInteger
        for v in form.columns
    ]
    return lp


def _answer(
    highs: highspy.Highs,
    form: LinearStandardFormInfo,
    settings: SolverSettings,
    build_seconds: float,
) -> Solution:
    """Read status, incumbent and bound; store the incumbent in the Pyomo variables."""
    info, reached = highs.getInfo(), highs.getModelStatus()
    limits = (highspy.HighsModelStatus.kTimeLimit, highspy.HighsModelStatus.kInterrupt)
    has_incumbent = info.primal_solution_status == highspy.kSolutionStatusFeasible
    objective = info.objective_function_value if has_incumbent else None
    has_integers = any(not v.is_continuous() for v in form.columns)
    bound = info.mip_dual_bound if has_integers else -math.inf
    if reached == highspy.HighsModelStatus.kOptimal:
        status = SolveStatus.OPTIMAL if settings.mip_gap == 0 else SolveStatus.FEASIBLE
        if objective is not None and not has_integers:
            bound = objective  # short of the optimum, an incumbent bounds nothing
    elif reached == highspy.HighsModelStatus.kInfeasible:
        status, objective, bound = SolveStatus.INFEASIBLE, None, math.inf
    elif reached in limits:
        status = SolveStatus.TIME_LIMIT
    else:
        raise SolverError(f"HiGHS stopped with {highs.modelStatusToString(reached)}")
    if objective is not None:
        for variable, value in zip(form.columns, highs.getSolution().col_value, strict=True):
            variable.set_value(value, skip_validation=True)
    rows, columns = form.A.shape
    return Solution(
        status=status,
        objective=objective,
        bound=bound,
        variables=columns,
        constraints=rows,
        build_seconds=build_seconds,
        solve_seconds=highs.getRunTime(),
    )
