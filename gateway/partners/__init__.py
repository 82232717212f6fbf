"""What speaks to partners: the desk that runs plans, the one executor, its transport, our tokens."""
