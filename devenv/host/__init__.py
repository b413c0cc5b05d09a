"""This machine: processes, files, cloning, state, the registry of projects."""
