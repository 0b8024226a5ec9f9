"""Heads of other papers for arbitrary scales, as stacks of our network."""
