"""The documents: what they point to exists, and the index names them all."""

import pytest

from documents import DOCUMENTS, ROOT, Link, anchors, links, read

TEXT = """
# One `name`, two_words -- and *three*!
[a](b.md "title") and [b](<c.md#d>) on a line, ![c](../d.png), [d](https://e.f/g.md), [e](#h)
`[f](no.md)` and ``[g](`no`.md)``, [h`i`](j.md#k%20l)
[i]: ../../k.md
<img src="l.png"><a href="mailto:m@n">o</a>

```sh
# no heading
cat [j](no.md)
```

## Same
### Same ##
## [Same](p.md) more
"""


def test_links_are_all_that_github_shows_as_links():
    assert links("docs/x.md", TEXT) == [
        Link("docs/b.md", ""),
        Link("docs/c.md", "d"),
        Link("d.png", ""),
        Link("docs/x.md", "h"),
        Link("docs/j.md", "k l"),
        Link("../k.md", ""),
        Link("docs/l.png", ""),
        Link("docs/p.md", ""),
    ]


def test_anchors_are_those_of_github():
    assert anchors(TEXT) == {"one-name-two_words----and-three", "same", "same-1", "same-more"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_point_to_files_and_headings_that_exist(document):
    broken = []
    for link in links(document):
        place = ROOT / link.path
        inside = not link.path.startswith("..") and place.exists()
        heading = not link.anchor or (place.suffix == ".md" and link.anchor in anchors(read(place)))
        if not (inside and heading):
            broken.append(link)
    assert broken == []


def test_index_names_every_document():
    named = {link.path for link in links("docs/index.md")}
    assert set(DOCUMENTS) - named == {"docs/index.md"}
