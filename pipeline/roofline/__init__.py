"""Roofline performance model: from shape, GPU and workload to seconds, memory and tokens/s."""
