"""The words everything else uses: pure types and state tables, no I/O, msgspec and the standard library only."""
