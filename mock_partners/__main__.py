"""`python -m mock_partners`: the same commands as `mock-partners`."""

from mock_partners.cli import main

main()
