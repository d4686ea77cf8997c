"""Turns a stored placement into what starts it."""

from pipeline.export.files import SIGN, TARGETS, kubernetes_file, ray_serve_file, vllm_command
from pipeline.export.launch import (
    Launch,
    NothingPlaced,
    Refusal,
    launch_json,
    launch_of,
    summary,
    why_not,
)

__all__ = [
    "SIGN",
    "TARGETS",
    "Launch",
    "NothingPlaced",
    "Refusal",
    "kubernetes_file",
    "launch_json",
    "launch_of",
    "ray_serve_file",
    "summary",
    "vllm_command",
    "why_not",
]
