"""What starts a placement: a vLLM command, a Ray Serve or a Kubernetes file, with its notes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from pipeline.export.launch import Launch
from pipeline.words import counted

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
    weight = f"{launch.bytes_per_weight:g} byte{'' if launch.bytes_per_weight == 1 else 's'}"
    notes = [
        _one_line(f"{SIGN}{launch.point_id}; stages: {stages}."),
        _one_line(_about_model(launch.model)),
        f"# It counts {weight} a weight: weights of more may not fit.",
        f"# Requests above {launch.sequence_length} tokens, prompt and output, are refused: the "
        "figures know none. Raise max-model-len where they come.",
    ]
    if launch.other_engine:
        told = (
            f"# Its figures are those of the engine {launch.other_engine}: vLLM may reach others."
        )
        notes.append(_one_line(told))
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
