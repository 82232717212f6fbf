"""The only driver of the payout table: what may leave, what came back, what follows from it."""
