"""Two HTTP clients under all adapters, with one policy: timeouts, TLS, proxies, authentication, errors."""
