"""A stored placement as vLLM sees it, or why vLLM cannot run it and the best that it can.

vLLM runs pipelines whose stages all have the same TP degree; layers may be split unevenly
(`VLLM_PP_LAYER_PARTITION`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pipeline.catalogue import UnknownNameError, find_engine, find_model
from pipeline.compare import Comparison, advise
from pipeline.compare.comparable import check_comparable
from pipeline.compare.tables import percent_above
from pipeline.config.load import stored_config
from pipeline.errors import Fault, InputError, ResultsError
from pipeline.instance import Instance
from pipeline.model_shape import why_not_split
from pipeline.results.frames import Results, records
from pipeline.results.schema import present
from pipeline.words import counted, per_million, signed_percent


@dataclass(frozen=True)
class Launch:
    """A placement as vLLM sees it: one TP degree, the layers and the GPU type of each stage.

    sequence_length: tokens of one request, input and output. requests: at once.
    engine_limits: further arguments of the engine that the placement rests on, by vLLM's names.
    bytes_per_weight: what the placement has counted. swept: values of swept fields that it is for.
    other_engine: the engine whose figures the placement rests on, empty where that is vLLM.
    """

    point_id: str
    model: str
    tp_degree: int
    layers: tuple[int, ...]
    gpus: tuple[str, ...]
    sequence_length: int
    requests: int
    engine_limits: Mapping[str, Any] = field(default_factory=dict)
    bytes_per_weight: float = 2.0
    swept: Mapping[str, Any] = field(default_factory=dict)
    other_engine: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that vLLM needs: how many layers each stage holds."""
        if len(self.layers) == 1:
            return {}
        return {"VLLM_PP_LAYER_PARTITION": ",".join(map(str, self.layers))}

    @property
    def engine_arguments(self) -> dict[str, Any]:
        """Arguments of the engine, by vLLM's names."""
        is_alone = self.tp_degree * len(self.layers) == 1
        return {
            "tensor_parallel_size": self.tp_degree,
            "pipeline_parallel_size": len(self.layers),
            "max_model_len": self.sequence_length,
            "max_num_seqs": self.requests,
            **self.engine_limits,
            **({} if is_alone else {"distributed_executor_backend": "ray"}),
        }

    @property
    def stages_by_gpu(self) -> list[tuple[str, int]]:
        """GPU types in pipeline order, with how many consecutive stages each holds."""
        return [(gpu, len(list(stages))) for gpu, stages in groupby(self.gpus)]


@dataclass(frozen=True)
class Refusal:
    """Why vLLM cannot run a placement, and the cheapest of the run that it can, if any."""

    reason: str
    alternative: str | None
    percent_dearer: float | None

    def __str__(self) -> str:
        if self.alternative is None:
            return (
                f"vLLM cannot run this placement: {self.reason}. None of this run can be; "
                "limits.uniform_tp=true and limits.tp_degrees search for those that can"
            )
        percent = self.percent_dearer
        dearer = "" if percent is None else f", {signed_percent(percent)} per token"
        return (
            f"vLLM cannot run this placement: {self.reason}. The cheapest of this run that it can "
            f"is --point {self.alternative}{dearer}; "
            "limits.uniform_tp=true searches among those that it can, and may find cheaper ones"
        )


@dataclass(frozen=True)
class NothingPlaced(Refusal):
    """Why there is nothing to launch: neither this placement nor another."""

    def __str__(self) -> str:
        return self.reason


def launch_of(results: Results, point: str | None, model: str | None = None) -> Launch | Refusal:
    """Return how to launch a point's placement, or why there is none that vLLM can run.

    point: its id or the beginning of it; None: the recommended placement. model: path or name
    for vLLM; None: that of the config, or of the hub for a model of the catalogue. Raises
    InputError for a point that is not there, and for a model that a shell takes for an option.
    """
    row = _row(results, point)
    if isinstance(row, NothingPlaced):
        return row
    check_comparable(results)
    stages = records(results.placement(row["point_id"]))
    if not stages:
        raise ResultsError(f"{results.directory}: point {row['point_id']}: has no segments")
    instance = _instance(results, row)
    reason = why_not(stages, instance)
    if reason:
        return _refusal(results, row, reason)
    return Launch(
        point_id=str(row["point_id"]),
        model=_no_option(model or _served_name(instance.model.name)),
        tp_degree=int(stages[0]["tp_degree"]),
        layers=tuple(int(stage["size"]) for stage in stages),
        gpus=tuple(str(stage["gpu"]) for stage in stages),
        sequence_length=instance.workload.sequence_length,
        requests=_requests(row, instance),
        engine_limits=_engine_limits(instance),
        bytes_per_weight=instance.model.bytes_per_weight,
        swept=results.swept(row),
        other_engine=_other_engine(instance),
    )


def _no_option(model: str) -> str:
    """Return the name of a model; raises InputError where vLLM would take it for an option."""
    if model.startswith("-"):
        raise InputError([Fault("command line", "--model", "must not begin with -", model)])
    return model


def _other_engine(instance: Instance) -> str:
    """Name the engine whose figures an instance has; empty for vLLM and under `flops`."""
    serving = instance.serving
    if serving is None or find_engine(serving.engine).family == "vllm":
        return ""
    return serving.engine


def _served_name(model: str) -> str:
    """Return the name that vLLM finds a model of the catalogue under; else the name as it is."""
    try:
        return find_model(model).hub_name
    except UnknownNameError:
        return model


def _requests(row: dict[str, Any], instance: Instance) -> int:
    """Return the requests at once for which a placement was found."""
    if instance.serving is None:
        return instance.workload.batch_size
    return int(row["concurrency"])


def _engine_limits(instance: Instance) -> dict[str, Any]:
    """Return what the `roofline` model took for given of memory and cache, by vLLM's names."""
    serving = instance.serving
    if serving is None:
        return {}
    # vLLM's share is one of all memory.
    is_of_all = find_engine(serving.engine).memory_share_of == "total"
    memory = {"gpu_memory_utilization": serving.memory_fraction} if is_of_all else {}
    cache = {"kv_cache_dtype": "fp8"} if serving.kv_bytes == 1 else {}
    return {**memory, **cache}


def why_not(stages: Sequence[dict[str, Any]], instance: Instance) -> str:
    """Say why vLLM cannot run these stages; empty where it can."""
    degrees = sorted({int(stage["tp_degree"]) for stage in stages})
    if len(degrees) > 1:
        listed = ", ".join(map(str, degrees))
        return f"its stages have the TP degrees {listed}, and vLLM has one for all stages"
    return why_not_split(instance.model, degrees[0])


def _row(results: Results, point: str | None) -> dict[str, Any] | NothingPlaced:
    """Return the row of a point, of the recommended one if None, where it has a placement."""
    if point is None:
        advice = advise(Comparison(results))
        if advice is None:
            said = "".join(f"; one says: {text}" for text in results.points.message[:1])
            told = f"{results.directory}: no point has a placement{said}"
            return NothingPlaced(told, None, None)
        point = advice.best.point_id
    ids = [str(i) for i in results.points.point_id]  # Arrow compares no text that is not UTF-8
    found = results.points[[i == point for i in ids]]
    if found.empty:
        found = results.points[[i.startswith(point) for i in ids]]
    if len(found) != 1:
        reason = (
            f"must name one point of {results.directory}; {len(found)} begin so; leave it out for "
            "the recommended one, or take an id from the report or the column point_id"
        )
        raise InputError([Fault("command line", "--point", reason, point)])
    (row,) = records(found)
    if not present(row["cost_usd_per_token"]):
        told = f"{results.directory}: point {row['point_id']} has no placement: {row['message']}"
        return NothingPlaced(told, None, None)
    return row


def _instance(results: Results, row: dict[str, Any]) -> Instance:
    """Return the instance that a row is about, swept values in place."""
    swept = results.swept(row)
    return stored_config(results.run).with_values(list(swept.items()), "swept values").instance


def _refusal(results: Results, row: dict[str, Any], reason: str) -> Refusal:
    """Find the cheapest placement for the same swept values that vLLM can run.

    Of those that are free, the fastest.
    """
    instance = _instance(results, row)
    stages = results.stages()
    placed = results.points[results.points.cost_usd_per_token.notna()]
    order = ["cost_usd_per_token", "throughput_tokens_per_s", "point_id"]
    for other in records(placed.sort_values(order, ascending=[True, False, True])):
        same = results.swept(other) == results.swept(row)
        held = stages.get(other["point_id"])  # a damaged folder may lack it
        if same and held and not why_not(held, instance):
            dearer = percent_above(other["cost_usd_per_token"], row["cost_usd_per_token"])
            return Refusal(reason, str(other["point_id"]), dearer)
    return Refusal(reason, None, None)


def launch_json(results: Results, launch: Launch) -> dict[str, Any]:
    """Return a launch as plain data, with what it brings and costs."""
    row = results.point(launch.point_id)
    figures = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
    return {
        "point_id": launch.point_id,
        "model": launch.model,
        "tp_degree": launch.tp_degree,
        "layers": launch.layers,
        "gpus": launch.gpus,
        "environment": launch.environment,
        "engine_arguments": launch.engine_arguments,
        **{name: float(row[name]) for name in figures},
    }


def summary(results: Results, launch: Launch) -> str:
    """Say in one line what a launch runs and what it costs."""
    row = results.point(launch.point_id)
    return (
        f"{counted(len(launch.layers), 'stage')} at TP {launch.tp_degree}: "
        f"{row['throughput_tokens_per_s']:,.0f} tokens/s for ${row['cost_usd_per_hour']:.2f}/h, "
        f"{per_million(float(row['cost_usd_per_token']))} per million tokens"
    )
