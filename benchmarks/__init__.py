"""Speed and memory, measured by one command; results in RESULTS.md. Not part of the wheel."""
