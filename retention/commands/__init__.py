"""The commands that keep, erase, prove and restore: each module adds a noun of `openaisle`."""
