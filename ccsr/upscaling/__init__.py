"""One picture: from its pixels to those of the enlargement."""
