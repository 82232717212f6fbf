"""The gateway: one contract for account linking, NIK verification and payout in front of the payment partners."""
