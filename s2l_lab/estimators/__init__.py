"""Estimators: arrays and plain records in, numbers with intervals out. No I/O, no torch, no pandas."""
