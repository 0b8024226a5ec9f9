"""The page of `ccsr serve`: pictures in the browser, each window computed at exactly its factor."""
