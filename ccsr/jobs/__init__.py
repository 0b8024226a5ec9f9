"""Many pictures: what is read and written, decided before any work, then done."""
