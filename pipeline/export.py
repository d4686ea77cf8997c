"""Turns a stored placement into what starts it: a vLLM command, a Ray Serve or Kubernetes file.

vLLM runs pipelines whose stages all have the same TP degree; layers may be split unevenly
(`VLLM_PP_LAYER_PARTITION`). What it cannot run is refused, with the best that it can.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import yaml

from pipeline.catalogue import UnknownNameError, find_model
from pipeline.compare import Comparison, advise
from pipeline.compare.comparable import check_comparable
from pipeline.compare.tables import percent_above
from pipeline.config.load import stored_config
from pipeline.errors import Fault, InputError, ResultsError
from pipeline.instance import Instance
from pipeline.results.frames import Results, records
from pipeline.words import counted, per_million, signed_percent

RAY_IMAGE = "rayproject/ray-llm:latest"
# How the notes begin that stand above whatever is written.
SIGN = "# Placement of point "
# What decides on which node a stage comes, by what is written.
ORDER_BY_START = (
    "# vLLM gives the first stages to the node that it is started on and the others to",
    "# nodes by their address: start it on a node of the first stage, and see that the",
    "# addresses follow the order of the stages.",
)
ORDER_BY_CHANCE = (
    "# vLLM gives stages to nodes by where it starts and by their addresses, which nothing in",
    "# this file decides: a stage may come to GPUs that it was not meant for. See where they are,",
    "# or search for placements of one type: limits.single_gpu_type=true.",
)
NODES = (
    "# Nodes must carry the label gpu-type with the name of their GPUs. Image and resource are",
    "# those of NVIDIA's; GPUs of others need their own, as amd.com/gpu.",
)


@dataclass(frozen=True)
class Launch:
    """A placement as vLLM sees it: one TP degree, the layers and the GPU type of each stage.

    sequence_length: tokens of one request, input and output. requests: at once.
    engine_limits: further arguments of the engine that the placement rests on, by vLLM's names.
    bytes_per_weight: what the placement has counted. swept: values of swept fields that it is for.
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

    @property
    def environment(self) -> dict[str, str]:
        """Variables that vLLM needs: how many layers each stage holds."""
        if len(self.layers) == 1:
            return {}
        return {"VLLM_PP_LAYER_PARTITION": ",".join(map(str, self.layers))}

    @property
    def engine_arguments(self) -> dict[str, Any]:
        """Arguments of the engine, by vLLM's names."""
        return {
            "tensor_parallel_size": self.tp_degree,
            "pipeline_parallel_size": len(self.layers),
            "max_model_len": self.sequence_length,
            "max_num_seqs": self.requests,
            **self.engine_limits,
            "distributed_executor_backend": "ray",
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
            "limits.uniform_tp=true searches for those that it can"
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
    InputError for a point that is not there.
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
        model=model or _served_name(instance.model.name),
        tp_degree=int(stages[0]["tp_degree"]),
        layers=tuple(int(stage["size"]) for stage in stages),
        gpus=tuple(str(stage["gpu"]) for stage in stages),
        sequence_length=instance.workload.sequence_length,
        requests=_requests(row, instance),
        engine_limits=_engine_limits(instance),
        bytes_per_weight=instance.model.bytes_per_weight,
        swept=results.swept(row),
    )


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
    cache = {"kv_cache_dtype": "fp8"} if serving.kv_bytes == 1 else {}
    return {"gpu_memory_utilization": serving.memory_fraction, **cache}


def why_not(stages: Sequence[dict[str, Any]], instance: Instance) -> str:
    """Say why vLLM cannot run these stages; empty where it can."""
    degrees = sorted({int(stage["tp_degree"]) for stage in stages})
    if len(degrees) > 1:
        listed = ", ".join(map(str, degrees))
        return f"its stages have the TP degrees {listed}, and vLLM has one for all stages"
    model, degree = instance.model, degrees[0]
    if model.num_attention_heads % degree:
        return f"{model.num_attention_heads} attention heads cannot be split over TP {degree}"
    # GPUs hold as many key/value heads as each other, or a copy of one; a latent cache is whole.
    kv_heads = model.num_key_value_heads
    if not model.kv_lora_rank and kv_heads % degree and degree % kv_heads:
        return f"{kv_heads} key/value heads cannot be split over TP {degree}"
    return ""


def vllm_command(launch: Launch) -> str:
    """Return a shell script that starts the placement with vLLM on a Ray cluster."""
    flags = [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in launch.engine_arguments.items()
    ]
    exports = [f"export {name}={shlex.quote(v)}" for name, v in launch.environment.items()]
    command = " \\\n  ".join([f"vllm serve {shlex.quote(launch.model)}", *flags])
    return "\n".join(["#!/bin/sh", *_notes(launch, ORDER_BY_START), *exports, command, ""])


def ray_serve_file(launch: Launch) -> str:
    """Return a config file for `serve deploy`."""
    return "\n".join([*_notes(launch, ORDER_BY_CHANCE), _yaml(_serve_config(launch))])


def kubernetes_file(launch: Launch) -> str:
    """Return a RayService manifest: one worker pod for each TP group, pods chosen by GPU type."""
    pod = {"image": RAY_IMAGE, "name": "ray"}
    workers = [
        {
            "groupName": f"stages-{index}",
            "replicas": count,
            "minReplicas": count,
            "maxReplicas": count,
            "rayStartParams": {},
            "template": {
                "spec": {
                    "nodeSelector": {"gpu-type": _label(gpu)},
                    "containers": [
                        {**pod, "resources": {"limits": {"nvidia.com/gpu": launch.tp_degree}}}
                    ],
                }
            },
        }
        for index, (gpu, count) in enumerate(launch.stages_by_gpu)
    ]
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": f"placement-{launch.point_id}"},
        "spec": {
            "serveConfigV2": _yaml(_serve_config(launch)),
            "rayClusterConfig": {
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0"},
                    "template": {"spec": {"containers": [pod]}},
                },
                "workerGroupSpecs": workers,
            },
        },
    }
    return "\n".join([*_notes(launch, ORDER_BY_CHANCE), *NODES, _yaml(manifest)])


TARGETS: dict[str, Callable[[Launch], str]] = {
    "vllm": vllm_command,
    "ray-serve": ray_serve_file,
    "kubernetes": kubernetes_file,
}


def _notes(launch: Launch, order: Sequence[str]) -> list[str]:
    """Say what runs where, and what the reader must see to.

    order: what decides on which node a stage comes, for placements of several GPU types.
    """
    parts = zip(launch.gpus, launch.layers, strict=True)
    stages = ", ".join(
        f"{gpu} × {launch.tp_degree}: {counted(layers, 'layer')}" for gpu, layers in parts
    )
    notes = [
        _one_line(f"{SIGN}{launch.point_id}; stages: {stages}."),
        _one_line(_about_model(launch.model)),
        f"# It counts {launch.bytes_per_weight:g} bytes a weight: weights of more may not fit.",
    ]
    if launch.swept:
        values = ", ".join(f"{name} = {value}" for name, value in launch.swept.items())
        notes.append(_one_line(f"# It is for {values}; other swept values have other placements."))
    return [*notes, *order] if len(set(launch.gpus)) > 1 else notes


def _about_model(model: str) -> str:
    """Say where the name of the model comes from; one without owner is on no hub."""
    if "/" in model:
        return f"# Model: {model}; --model names another, as a path or on the hub."
    return f"# Model: {model}, as the config calls it: --model names a path, or one on the hub."


def _serve_config(launch: Launch) -> dict[str, Any]:
    config: dict[str, Any] = {
        "model_loading_config": {"model_id": launch.model, "model_source": launch.model},
        "deployment_config": {"autoscaling_config": {"min_replicas": 1, "max_replicas": 1}},
        "engine_kwargs": launch.engine_arguments,
    }
    if launch.environment:
        config["runtime_env"] = {"env_vars": launch.environment}
    application = {
        "name": "placement",
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [config]},
    }
    return {"applications": [application]}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, as people do."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _one_line(text: str) -> str:
    """Keep a name from the config within its comment."""
    return " ".join(text.split())


def _label(text: str) -> str:
    """Turn a name into a Kubernetes label: letters, digits, and -_. between them."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text).strip(
        "-_."
    )


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
    if row["cost_usd_per_token"] != row["cost_usd_per_token"]:
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
