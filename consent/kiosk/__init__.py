"""The page at the entrance: opt in, opt out, receipt. Plain HTML that works without JavaScript."""
