"""How each file manager speaks; `base` is the contract, one file an implementation."""
