"""Multipart forms (RFC 7578), read as they arrive: the file's bytes go on, small fields are kept."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from servicekit.errors import InvalidRequest, Violation

FILE_FIELD = "file"
_MOST_FIELD_BYTES = 64 * 1024
_MOST_PARTS = 20
_PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})


class Form:
    """A form being read. `fields` and `file_name` are whole once `complete` is true."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.file_name = ""
        self.has_file = False
        self.complete = False
        """Whether the closing boundary has come; without it the form was cut off."""
        self._headers: dict[bytes, bytes] = {}
        self._header_name = self._header_value = b""
        self._parts = 0
        self._field_name: str | None = None
        self._field = bytearray()
        self._pieces: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header_name,
                "on_header_value": self._add_to_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes of the form and returns those of the file among them.

        Raises:
            InvalidRequest: it is no form, or one with too much in it.
        """
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise wrong_form("is not a well-formed multipart form") from None
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise wrong_form(f"has more than {_MOST_PARTS} parts")
        self._headers.clear()
        self._field.clear()

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = _text(options.get(b"name", b""))
        if not name:
            raise wrong_form("has a part without a name")
        if self._headers.get(b"content-transfer-encoding", b"").strip().lower() not in _PLAIN_ENCODINGS:
            raise wrong_form(f"has the part {name!r} in a transfer encoding; send it as it is")
        if name in self.fields or (name == FILE_FIELD and self.has_file):
            raise InvalidRequest([Violation(name, "comes twice in the form")])
        self._field_name = None if name == FILE_FIELD else name
        if name == FILE_FIELD:
            self.has_file = True
            self.file_name = _text(options.get(b"filename", b""))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._field_name is None:
            self._pieces.append(data[start:end])
            return
        self._field += data[start:end]
        if len(self._field) > _MOST_FIELD_BYTES:
            raise InvalidRequest([Violation(self._field_name, f"is longer than {_MOST_FIELD_BYTES} bytes")])

    def _end_part(self) -> None:
        if self._field_name is not None:
            self.fields[self._field_name] = _text(bytes(self._field))

    def _end(self) -> None:
        self.complete = True


def form_of(content_type: str) -> Form | None:
    """The form that a body of this type holds; None if the body is the file itself.

    Raises:
        InvalidRequest: it is multipart, but no form, or its boundary isn't told; or it is no media type at all.
    """
    try:
        kind, options = parse_options_header(content_type)
    except UnicodeEncodeError:  # over gRPC it is no header, and may be anything
        raise InvalidRequest([Violation("body.content_type", "must be a media type")]) from None
    if not kind.startswith(b"multipart/"):
        return None
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise wrong_form("must be multipart/form-data with a boundary, or the file itself")
    try:
        return Form(boundary)
    except FormParserError:
        raise wrong_form("has a boundary that is too long") from None


def wrong_form(fault: str) -> InvalidRequest:
    """The body as a whole is wrong."""
    return InvalidRequest([Violation("body", fault)])


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
