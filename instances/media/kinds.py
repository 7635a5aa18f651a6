"""What a file is: its message type, file extension and content type; and which files are rejected.

The file name decides first, then the content type that the sender declared, then a few signatures. A web page is sent
as binary if its name says that it is one. Otherwise a file that a browser or an operating system would run is rejected
by its name, by its declared type, and by its content whatever its name: the recipient would open it.
"""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from instances.models import MessageType

HEAD = 1024  # bytes of the content that identify_file needs
BINARY = "application/octet-stream"
MAX_NAME_LENGTH = 150  # characters


class WrongFile(ValueError):
    """The file is rejected. The text is a sentence for the caller."""


class Kind(NamedTuple):
    """What identify_file found.

    `filename` is clean and has an extension, if one is known; `extension` is that of the link, such as ".jpg".
    """

    filename: str
    extension: str
    content_type: str
    type: MessageType


# Extension → content type. A file without an extension gets the first one of its content type. Files are served with
# these content types only; all others are served as application/octet-stream.
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
# Extensions of containers that hold video or sound alone, with the content type of sound. Browsers record voice
# messages as voice.webm or voice.mp4, so the declared type decides for these.
AUDIO_CONTAINERS = {"webm": "audio/webm", "mp4": "audio/mp4", "ogg": "audio/ogg", "3gp": "audio/3gpp"}
SERVED_TYPES = frozenset(TYPES.values()) | frozenset(AUDIO_CONTAINERS.values())
# Messengers show these as pictures; bmp, tiff and heic are sent as documents.
PICTURES = {"image/jpeg", "image/png", "image/gif"}

# Pages and pictures with scripts, which run in a browser. They are sent and served as binary: a browser saves them.
PAGE_EXTENSIONS = frozenset({
    "html", "htm", "xhtml", "xht", "shtml", "mht", "mhtml", "svg", "svgz", "xml", "xsl",
})  # fmt: skip
PAGE_TYPES = frozenset({
    "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "multipart/related",
    "message/rfc822",
})  # fmt: skip
# Programs, which run on a computer when they are opened. They are rejected.
ACTIVE_EXTENSIONS = frozenset({
    "js", "mjs", "cjs", "wasm",
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
# First bytes → content type, for a file whose name and declared type are unknown.
SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"GIF8": "image/gif", b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg", b"%PDF-": "application/pdf",
}  # fmt: skip
ACTIVE_HEADS = (b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
# The atomic and possessive groups ("?>" and "*+") prevent backtracking: n comments could be split in 2**n ways.
MARKUP = re.compile(
    rb"(?:<\?xml[^>]*+>|(?><!--.*?-->)|\s)*+<(?:!doctype\s+(?:html|svg)|html|head|body|script|svg|iframe)\b",
    re.DOTALL,
)


def identify_file(filename: str, content_type: str, head: bytes) -> Kind:
    """Returns what a file is, by its name, the content type that its sender declared, and its first HEAD bytes.

    Raises:
        WrongFile: the file may run when it is opened.
    """
    filename = clean_filename(filename)
    declared = normalize_content_type(content_type)
    extension = find_extension(filename)
    is_page = extension in PAGE_EXTENSIONS
    if extension in ACTIVE_EXTENSIONS:
        raise WrongFile(
            f"files with the extension .{extension} are rejected, because they may run when they are opened."
        )
    if declared in ACTIVE_TYPES and not (is_page and declared in PAGE_TYPES):
        raise WrongFile(f"files of type {declared} are rejected, because they may run when they are opened.")
    text = head.removeprefix(b"\xef\xbb\xbf").lower()
    if head.startswith(ACTIVE_HEADS) or (not is_page and MARKUP.match(text)):
        raise WrongFile(
            "the content is a web page or a program, whatever the file name says; such files are rejected."
        )
    if is_page:
        return Kind(filename, f".{extension}", BINARY, MessageType.DOCUMENT)
    known = TYPES.get(extension, "")
    if extension in AUDIO_CONTAINERS and declared.startswith("audio/"):
        known = declared if declared in SERVED_TYPES else AUDIO_CONTAINERS[extension]
    if not known:
        signed = next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), "")
        known = declared if declared in EXTENSIONS else signed
        if known and not extension:
            extension = EXTENSIONS[known].lstrip(".")
            filename += EXTENSIONS[known]
    return Kind(filename, f".{extension or 'bin'}"[:10], known or BINARY, choose_message_type(known))


def choose_message_type(content_type: str) -> MessageType:
    """Returns the type of a message with this file: WebP is a sticker, Ogg is audio.

    Only `sendPTT` makes a voice message of an Ogg file.
    """
    if content_type == "image/webp":
        return MessageType.STICKER
    if content_type in PICTURES:
        return MessageType.IMAGE
    family = content_type.partition("/")[0]
    return {"video": MessageType.VIDEO, "audio": MessageType.AUDIO}.get(family, MessageType.DOCUMENT)


def normalize_content_type(content_type: str) -> str:
    """Returns a content type in lower case, without parameters, under its common name (ALIASES)."""
    bare = content_type.partition(";")[0].strip().lower()
    return ALIASES.get(bare, bare)


def clean_filename(filename: str) -> str:
    """Returns the last part of a path, without characters that file names cannot have.

    At most MAX_NAME_LENGTH characters; a longer name keeps its extension.
    """
    name = PurePosixPath(filename.replace("\\", "/")).name
    name = re.sub(
        r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]', "", name
    ).strip(" .")
    if len(name) > MAX_NAME_LENGTH:
        suffix = PurePosixPath(name).suffix[:10]
        name = name[: MAX_NAME_LENGTH - len(suffix)] + suffix
    return name or "file"


def find_extension(filename: str) -> str:
    """Returns the extension in lower case without its dot; "" if there is none that a link can end in."""
    suffix = re.sub(r"[^\x20-\x7e]", "", PurePosixPath(filename).suffix.lower()).lstrip(".")
    return suffix if re.fullmatch(r"[a-z0-9]{1,9}", suffix) else ""
