"""`devenv patterns`: declared access patterns, listed, run, checked, explained, and set against each other.

observe (edge) -> seen (plain values) -> judge, explain, matrix (pure) -> command (reports).
"""
