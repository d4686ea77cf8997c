"""Parts of one layer timed on a GPU, and what the roofline model predicts for them.

`python -m tests.kernels.measure OUT.csv` times them on a GPU (PyTorch, Triton, FlashInfer 0.5.3 and
an nvcc for its kernels); the CSV files here are what it wrote. `python -m tests.kernels.compare`
prints them beside the predictions; docs/accuracy.md says what follows.
"""
