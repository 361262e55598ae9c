"""Who asks and what they may see: principals, clients, tokens, agreements, decisions, sealed secrets."""
