"""The layers, one file each. They observe and do not judge."""
