"""Forms of seed files, one file each; `registry.py` lists them."""
