"""How each event feed speaks; `base` is the contract, one file a feed."""
