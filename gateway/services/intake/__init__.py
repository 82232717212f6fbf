"""What the core platform hands over: batches and their rows, participants, incentives."""
