"""Engine `embedded`: services as processes from installed packages."""
