"""The documentation that the gateway serves by itself: the OpenAPI document and two pages that show it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import swagger_ui_bundle

from gateway.openapi.schemas import with_settings
from servicekit.limits import Settings

_HERE = Path(__file__).parent
_PAGES = _HERE / "docs"
_REDOC = _PAGES / "vendor" / "redoc" / "redoc.standalone.js"
_SWAGGER_UI = Path(str(swagger_ui_bundle.swagger_ui_path))

# The only thing that Redoc would fetch from elsewhere, a logo; where an image doesn't load it shows none.
_REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_NO_IMAGE = "data:,"

# Scripts, styles and requests to this origin only. Both pages set styles by script, and Redoc searches in a worker.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    # With the charset, which tells it from an answer that still needs its envelope.
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
}


@dataclass(frozen=True)
class Page:
    """A file and the path it is served at."""

    path: str
    file: Path

    @property
    def pattern(self) -> str:
        """A regular expression (RE2) for its path; a page may be asked for with a slash at its end."""
        return re.escape(self.path) + ("/?" if self.file.suffix == ".html" else "")

    @property
    def headers(self) -> dict[str, str]:
        """What its answer carries beside the headers of every answer."""
        cached = "no-cache" if self.file.suffix in (".html", ".json") else "max-age=3600"
        headers = {"content-type": _TYPES[self.file.suffix], "cache-control": cached}
        if self.file.suffix == ".html":
            headers["content-security-policy"] = _POLICY
        return headers


def write_pages(directory: Path, settings: Settings) -> list[Page]:
    """Writes all files of the documentation below the directory; returns where each is served.

    Args:
        directory: made if it doesn't exist.
        settings: the values of those that limits of requests name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pages = []
    for path, content in _contents(settings):
        file = directory / path.rpartition("/")[2]
        if not file.suffix:
            file = file.with_suffix(".html")
        file.write_bytes(content)
        pages.append(Page(path, file))
    return pages


def _contents(settings: Settings) -> Iterator[tuple[str, bytes]]:
    document = with_settings(json.loads((_HERE / "openapi.json").read_bytes()), settings)
    yield "/openapi.json", f"{json.dumps(document, ensure_ascii=False, indent=1)}\n".encode()
    yield "/docs", (_PAGES / "docs.html").read_bytes()
    yield "/redoc", (_PAGES / "redoc.html").read_bytes()
    for name in ("docs.js", "redoc.js", "redoc.css"):
        yield f"/docs/assets/{name}", (_PAGES / name).read_bytes()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        yield f"/docs/assets/{name}", (_SWAGGER_UI / name).read_bytes()
    redoc = _REDOC.read_text(encoding="utf-8")
    if _REDOC_LOGO not in redoc:
        raise ValueError(
            f"{_REDOC.name} names its logo differently now; see to it that the page fetches nothing outside"
        )
    yield "/docs/assets/redoc.standalone.js", redoc.replace(_REDOC_LOGO, _NO_IMAGE).encode()
