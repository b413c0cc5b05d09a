"""`up`, `down`, `status`, `reset`: plan them, then carry them out."""
