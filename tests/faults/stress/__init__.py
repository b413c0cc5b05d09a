"""Patched copies of the application for `trace --stress`."""
