"""Proxies that make a store behave as it may on a bad day."""
