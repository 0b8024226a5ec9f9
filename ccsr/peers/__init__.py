"""Other people's heads for arbitrary scales, written from their papers, as stacks of our network."""
