"""Measuring networks on test images."""
