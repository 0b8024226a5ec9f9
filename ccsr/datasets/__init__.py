"""Data sets that anybody can build: what they hold, where it comes from, and how it is fetched."""
