"""Benchmarks of gslora_mm; run them with ``python benchmarks/run.py``."""
