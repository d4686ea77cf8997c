"""Catalogues of GPUs, models and engines: names in, figures with source and date out."""

from pipeline.catalogue.errors import CatalogueError, UnknownNameError
from pipeline.catalogue.lookup import (
    ComputeType,
    compute_types,
    engine_names,
    find_engine,
    find_gpu,
    find_model,
    gpu_names,
    model_names,
)
from pipeline.catalogue.records import MOST_MEMORY_GB, Engine, Figure, Gpu, Link, ModelEntry, Source

__all__ = [
    "MOST_MEMORY_GB",
    "CatalogueError",
    "ComputeType",
    "Engine",
    "Figure",
    "Gpu",
    "Link",
    "ModelEntry",
    "Source",
    "UnknownNameError",
    "compute_types",
    "engine_names",
    "find_engine",
    "find_gpu",
    "find_model",
    "gpu_names",
    "model_names",
]
