"""Client tokens and scopes, sealed fields and blind indexes."""
