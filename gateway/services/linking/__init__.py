"""Account links from challenge to end, and the NIK checks over them."""
