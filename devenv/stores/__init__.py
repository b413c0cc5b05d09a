"""Clients of the two stores."""
