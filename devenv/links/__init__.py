"""Ids and items across the two stores."""
