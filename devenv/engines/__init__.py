"""How services run: embedded, docker, external."""
