"""Age (years) and gender from face portraits: train, compare, trust and use."""

__version__ = "0.1.0"
