"""What programs may read over HTTP: the released figures, read-only, by the rules of the pages. See `docs/api.md`."""
