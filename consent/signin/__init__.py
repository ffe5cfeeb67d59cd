"""The door of the dashboard: what stands before every page, and the pages for signing in. Plain HTML, no script."""
