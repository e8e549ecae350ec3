"""One HTTP layer under all adapters: pools, timeouts, TLS, proxies, authentication, error translation."""
