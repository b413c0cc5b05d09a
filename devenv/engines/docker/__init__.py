"""Engine `docker`: services through Docker Compose."""
