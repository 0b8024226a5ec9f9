"""Names of what is read and written: paths of this machine, and URLs of what lies elsewhere."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

WEB = ("http", "https")
_LOCAL = ("file", "local")
# One request lists whatever begins with a name, and a file appears whole or not at all.
OBJECTS = frozenset({"abfs", "adl", "gs", "memory", "oci", "oss", "s3"})
# Two names of one thing would hide that an output is an input, or that two outputs are one.
_ALIASES = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}
_NO_PASSWORD = ("github", "git")  # github://OWNER:REPOSITORY@BRANCH/a.png
_BY_VARIABLE = ("dav", "davs", "ftp", "sftp", "smb", "ssh", "webdav", "webhdfs")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_CHAINED = re.compile(r"[a-z][a-z0-9+.-]+::.*://|.*::[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PASSWORD = re.compile(r"[^/@]*:[^/@]*@")


@dataclass(frozen=True, slots=True, order=True)
class Url:
    """A file or a folder that is not in a file system of this machine.

    It has the attributes of a path that the planning of a run needs, and no others, so that nothing
    opens it by mistake.

    Attributes:
        text: such as `s3://bucket/in/a.png`, without a separator at its end.
        closed: whether a person wrote one there, so that it must be a folder.
    """

    text: str
    closed: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, below: str | PurePath) -> "Url":
        name = below if isinstance(below, str) else below.as_posix()
        return self if name == "." else Url(f"{self.text}/{name}")

    @property
    def scheme(self) -> str:
        """The kind of store, `s3`."""
        return self.text.partition("://")[0]

    @property
    def root(self) -> "Url":
        """What cannot be left towards the top: the bucket, the host."""
        return Url("/".join(self.text.split("/", 3)[:3]))

    @property
    def parent(self) -> "Url":
        """The folder that it lies in; that of a bucket is itself."""
        above = self.text.rpartition("/")[0]
        return Url(above) if above.count("/") > 1 else self

    @property
    def name(self) -> str:
        """The last part. Of an address in the web neither the query nor escapes belong to it."""
        text = unquote(urlsplit(self.text).path) if self.scheme in WEB else self.text
        return text.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot."""
        return PurePath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePath(self.name).stem

    def relative_to(self, folder: str) -> PurePath:
        """The path from a folder above it.

        Raises:
            ValueError: if it is not above it.
        """
        if not self.text.startswith(f"{folder}/"):
            raise ValueError(f"{self} is not below {folder}")
        return PurePath(self.text[len(str(folder)) + 1 :])


Place: TypeAlias = Path | Url


def place(text: str) -> Place:
    """What a person means by a path or a URL; `file:///a.png` is the path `/a.png`.

    Raises:
        ValueError: for URLs that stand in each other, as fsspec allows: `zip://a.png::s3://b/c.zip`,
            and for one with a password.
    """
    if _CHAINED.match(text):
        raise ValueError(
            f"expected one URL, got several in each other: {text}: unpack archives first, and "
            "leave out caches, since each picture is read once"
        )
    match = _SCHEME.match(text)
    if not match:
        return Path(text)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in _LOCAL:
        return Path(url2pathname(rest.removeprefix("localhost") if "/" in rest else rest))
    scheme = _ALIASES.get(scheme, scheme)
    if _PASSWORD.match(rest) and scheme not in _NO_PASSWORD:
        by = (
            f"FSSPEC_{scheme.upper()}_PASSWORD"
            if scheme in _BY_VARIABLE
            else "the store's own files"
        )
        raise ValueError(
            f"expected no password in the URL of {rest.partition('@')[2]}, since messages and "
            f"reports would tell it: give it by {by}"
        )
    if scheme in OBJECTS:
        rest = rest.lstrip("/")
    return Url(f"{scheme}://{rest.rstrip('/')}", rest.endswith("/"))
