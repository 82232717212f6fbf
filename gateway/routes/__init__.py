"""HTTP in: each module holds the handlers of one resource and no rules; `handlers` lists them."""
