"""The HTTP gateway: Envoy's configuration, made from the contracts and a few settings."""
