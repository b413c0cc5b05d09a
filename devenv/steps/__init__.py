"""The steps `setup`, `schema-load` and `seed`, in this order."""
