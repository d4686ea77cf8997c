"""Roofline performance model: from shape, GPU and workload to seconds, memory and tokens/s."""

from pipeline.roofline.cases import Case, case_arrays
from pipeline.roofline.constants import Constants, ConstantTable, resolve
from pipeline.roofline.pipelines import (
    PipelineFigures,
    drawn_table,
    pipeline_figures,
    request_overhead,
    round_inefficiency,
    throughput_range,
)
from pipeline.roofline.requests import tokens_per_s
from pipeline.roofline.stages import StageFigures, Workload, stage_figures, stage_hop_seconds

__all__ = [
    "Case",
    "ConstantTable",
    "Constants",
    "PipelineFigures",
    "StageFigures",
    "Workload",
    "case_arrays",
    "drawn_table",
    "pipeline_figures",
    "request_overhead",
    "resolve",
    "round_inefficiency",
    "stage_figures",
    "stage_hop_seconds",
    "throughput_range",
    "tokens_per_s",
]
