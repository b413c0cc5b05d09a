"""Conditions under which a request is tried: one file per kind, listed in `registry`."""
