"""The rules: each service owns its transactions and its partner calls; routes and worker loops only call them."""
