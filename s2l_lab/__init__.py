"""A laboratory bench for policy-level diversity: pass@k over model families, diversity, and S2L-PO training."""

__version__ = "0.1.0"
