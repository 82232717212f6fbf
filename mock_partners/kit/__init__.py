"""What the mock partners share: a world of accounts and books, a clock, raw HTTP, SNAP checks, pages, behaviours."""
