"""What a person may have meant by a word that is not known."""

import difflib
from collections.abc import Iterable


def close(word: str, known: Iterable[str]) -> list[str]:
    """Up to three known words that are spelt like `word`, the nearest first.

    Those that are much less like it than the nearest one are none of them.
    """
    choices = sorted(set(known))
    nearest = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if not nearest:
        return []
    best = difflib.SequenceMatcher(None, nearest[0], word).ratio()
    return difflib.get_close_matches(word, choices, n=3, cutoff=max(0.5, best - 0.3))


def did_you_mean(words: Iterable[str]) -> str:
    """`did you mean 'a' or 'b'?`."""
    return f"did you mean {' or '.join(map(repr, words))}?"


def near(word: str, known: Iterable[str]) -> str:
    """A hint to end an error message with: words spelt like `word`, or else all that are known."""
    choices = sorted(set(known))
    found = close(word, choices)
    if found:
        return did_you_mean(found)
    return f"expected one of {', '.join(choices)}" if choices else "there is none"
