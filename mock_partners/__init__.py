"""Mock servers of the payment partners, built from their documents alone; they share no code with the gateway."""
