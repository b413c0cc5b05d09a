"""Proxies that make a store misbehave, as stores do at times."""
