"""The commands that read a shop's state directory: each module adds a noun of `openaisle`."""
