"""How each service that keeps secrets speaks."""
