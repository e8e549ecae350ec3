"""How each storage vendor speaks; `base` is the contract, one file a provider."""
