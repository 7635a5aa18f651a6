"""What a file is: its type as a message, its extension and content type; and which files are refused.

The name decides first, then what the sender declared, then a few signatures. What a browser or a system would run is
refused by its name, by what it is declared to be, and by its content under whatever name: its receiver would open it.
"""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from instances.models import MessageType

HEAD = 1024  # bytes of the content that are looked at
BINARY = "application/octet-stream"
NAME_MOST = 150  # characters of a file's name


class WrongFile(ValueError):
    """A file that is not sent; the text is a sentence for the caller."""


class Kind(NamedTuple):
    """`filename` is clean and has an extension, unless nobody knows one; `extension` is the link's: ".jpg"."""

    filename: str
    extension: str
    content_type: str
    type: MessageType


# Extension: content type. The first extension of a content type is the one that a file without any gets. Only these
# types are ever said of a file that is served; all others are served as bytes.
TYPES = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4", "m4v": "video/mp4", "3gp": "video/3gpp", "mov": "video/quicktime", "webm": "video/webm",
    "avi": "video/x-msvideo", "mkv": "video/x-matroska", "mpeg": "video/mpeg", "mpg": "video/mpeg",
    "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "mp3": "audio/mpeg", "m4a": "audio/mp4",
    "aac": "audio/aac", "amr": "audio/amr", "wav": "audio/wav", "flac": "audio/flac", "weba": "audio/webm",
    "pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "json": "application/json",
    "rtf": "application/rtf", "vcf": "text/vcard", "ics": "text/calendar", "md": "text/markdown",
    "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "zip": "application/zip", "gz": "application/gzip", "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar", "tar": "application/x-tar",
}  # fmt: skip
ALIASES = {
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "audio/mp3": "audio/mpeg", "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav", "audio/opus": "audio/ogg", "application/ogg": "audio/ogg", "audio/x-m4a": "audio/mp4",
    "text/x-vcard": "text/vcard", "application/x-zip-compressed": "application/zip",
}  # fmt: skip
EXTENSIONS = {kind: f".{extension}" for extension, kind in reversed(TYPES.items())}
# messengers show these as pictures; bmp, tiff and heic go as documents
PICTURES = {"image/jpeg", "image/png", "image/gif"}

# What runs when it is opened: pages and pictures with scripts in a browser, programs on a computer.
ACTIVE_EXTENSIONS = frozenset({
    "html", "htm", "xhtml", "xht", "shtml", "mht", "mhtml", "svg", "svgz", "xml", "xsl", "js", "mjs", "cjs", "wasm",
    "hta", "swf", "jar", "jnlp", "class", "exe", "dll", "com", "scr", "pif", "msi", "msix", "bat", "cmd", "ps1", "psm1",
    "vbs", "vbe", "jse", "wsf", "wsh", "lnk", "reg", "cpl", "sh", "bash", "app", "dmg", "pkg", "deb", "rpm", "apk",
    "php", "phtml",
})  # fmt: skip
ACTIVE_TYPES = frozenset({
    "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "text/javascript",
    "application/javascript", "application/x-javascript", "application/ecmascript", "text/ecmascript",
    "application/wasm", "application/x-msdownload", "application/x-msdos-program", "application/x-dosexec",
    "application/vnd.microsoft.portable-executable", "application/x-executable", "application/x-sh",
    "application/x-shockwave-flash", "application/java-archive", "application/hta", "application/x-httpd-php",
    "application/vnd.android.package-archive",
})  # fmt: skip
# Of a file whose name and sender say nothing.
SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"GIF8": "image/gif", b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg", b"%PDF-": "application/pdf",
}  # fmt: skip
ACTIVE_HEADS = (b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
# Nothing in the beginning is tried twice ("?>" and "*+"): a row of comments could be cut up in 2**n ways.
MARKUP = re.compile(
    rb"(?:<\?xml[^>]*+>|(?><!--.*?-->)|\s)*+<(?:!doctype\s+(?:html|svg)|html|head|body|script|svg|iframe)\b",
    re.DOTALL,
)


def judge(filename: str, content_type: str, head: bytes) -> Kind:
    """What a file of this name is, by what its sender declared and the first HEAD bytes of it. Raises WrongFile."""
    filename = clean_name(filename)
    declared = plain_type(content_type)
    extension = extension_of(filename)
    if extension in ACTIVE_EXTENSIONS:
        raise WrongFile(
            f"files that end in .{extension} are not sent, because they may run when they are opened."
        )
    if declared in ACTIVE_TYPES:
        raise WrongFile(
            f"it is {declared}, and such files are not sent, because they may run when they are opened."
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lower()
    if head.startswith(ACTIVE_HEADS) or MARKUP.match(text):
        raise WrongFile(
            "its content is a page or a program, whatever its name says, and such files are not sent."
        )
    known = TYPES.get(extension, "")
    if not known:
        signed = next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), "")
        known = declared if declared in EXTENSIONS else signed
        if known and not extension:
            extension = EXTENSIONS[known].lstrip(".")
            filename += EXTENSIONS[known]
    return Kind(filename, f".{extension or 'bin'}"[:10], known or BINARY, message_type(known))


def message_type(content_type: str) -> MessageType:
    """How a messenger shows it. A WebP is a sticker; an Ogg is audio here, and a voice message by `sendPTT` alone."""
    if content_type == "image/webp":
        return MessageType.STICKER
    if content_type in PICTURES:
        return MessageType.IMAGE
    family = content_type.partition("/")[0]
    return {"video": MessageType.VIDEO, "audio": MessageType.AUDIO}.get(family, MessageType.DOCUMENT)


def plain_type(content_type: str) -> str:
    """A content type in lower case, without its parameters, by its common name."""
    plain = content_type.partition(";")[0].strip().lower()
    return ALIASES.get(plain, plain)


def clean_name(filename: str) -> str:
    """The last part of a path, without what no file's name may hold, of NAME_MOST characters; its extension stays."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    name = re.sub(
        r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]', "", name
    ).strip(" .")
    if len(name) > NAME_MOST:
        suffix = PurePosixPath(name).suffix[:10]
        name = name[: NAME_MOST - len(suffix)] + suffix
    return name or "file"


def extension_of(filename: str) -> str:
    """The extension without its dot, in lower case; "" where there is none that a link can end in."""
    suffix = re.sub(r"[^\x20-\x7e]", "", PurePosixPath(filename).suffix.lower()).lstrip(".")
    return suffix if re.fullmatch(r"[a-z0-9]{1,9}", suffix) else ""
