"""The fixtures of the tests in a real browser."""

from in_browser import base, browser

__all__ = ["base", "browser"]
