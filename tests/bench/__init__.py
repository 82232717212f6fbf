"""How fast one worker pays, against the bare signed calls it cannot do without; and how fast a batch is taken in."""
