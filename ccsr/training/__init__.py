"""Training a network, as `ccsr train` does it."""
