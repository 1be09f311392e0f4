"""Pieces of screen that views share."""
