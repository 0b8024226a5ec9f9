"""What a person may have meant by a word that is not known."""

import difflib
from collections.abc import Iterable


def near(word: str, known: Iterable[str]) -> str:
    """A hint to end an error message with: `did you mean 'edsr'?`, or all that is known."""
    choices = sorted(set(known))
    close = difflib.get_close_matches(word, choices, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"expected one of {', '.join(choices)}" if choices else "there is none"
