"""Smile for a discount: a page in the kiosk's process, its button for whoever shows no face, and the till.

`score` says what a smile is, `reader` looks at one picture, `pages` are what the shopper sees, and `till` is where a
voucher is redeemed. Vouchers themselves are `consent.vouchers`. Without ``[smile]`` in `store.toml` nothing of it is
loaded.
"""
