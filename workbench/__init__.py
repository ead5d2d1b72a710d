"""The Workbench: compress, measure and compare models; every result is a run on disk."""

__version__ = "0.1.0"
