"""Measured throughput tables: CSV text in, checked records out, all faults at once."""

from pipeline.measurements.csv_rows import MeasurementError
from pipeline.measurements.forms import NONE, OwnGpus
from pipeline.measurements.records import (
    KvBlocks,
    Measurement,
    group_labels,
    measured_tokens_per_s,
    read_kv_blocks,
    read_measurements,
)

__all__ = [
    "NONE",
    "KvBlocks",
    "Measurement",
    "MeasurementError",
    "OwnGpus",
    "group_labels",
    "measured_tokens_per_s",
    "read_kv_blocks",
    "read_measurements",
]
