"""Declared access patterns and their rules."""
