"""A compound file (MS-CFB) with small streams, as Outlook stores a message in it (MS-OXMSG)."""

import struct

SECTOR, MINI = 512, 64
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound_file(streams: dict[str, bytes]) -> bytes:
    """A file with streams of less than 4,096 bytes each, all below the root, with a FAT of one sector."""
    mini, mini_fat, places = b"", [], []
    for data in streams.values():
        count = -(-len(data) // MINI)
        first = len(mini_fat) if count else END
        mini_fat += [*range(len(mini_fat) + 1, len(mini_fat) + count), END] if count else []
        mini += data.ljust(count * MINI, b"\0")
        places.append((first, len(data)))
    root = _entry("Root Entry", 5, FREE, 1 if streams else FREE, 0, len(mini))
    below = [
        _entry(name, 2, number + 2 if number + 1 < len(streams) else FREE, FREE, first, size)
        for number, (name, (first, size)) in enumerate(zip(streams, places, strict=True))
    ]
    # the contents in whole sectors: the mini stream, its FAT, the directory, the FAT
    parts = [mini, struct.pack(f"<{len(mini_fat)}I", *mini_fat), b"".join([root, *below])]
    counts = [-(-len(part) // SECTOR) for part in parts]
    padding = [b"\0", b"\xff", b"\0"]
    body = b"".join(part.ljust(count * SECTOR, fill) for part, count, fill in zip(parts, counts, padding, strict=True))
    fat: list[int] = []
    for count in counts:
        fat += [*range(len(fat) + 1, len(fat) + count), END]
    fat.append(FAT)
    assert len(fat) <= SECTOR // 4
    table = struct.pack(f"<{SECTOR // 4}I", *fat, *[FREE] * (SECTOR // 4 - len(fat)))
    directory, mini_table = counts[0] + counts[1], counts[0]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1)
    header += struct.pack("<IIIIIII", directory, 0, 4096, mini_table, counts[1], END, 0)
    header += struct.pack("<109I", len(fat) - 1, *[FREE] * 108)
    return header + body + table


def _entry(name: str, kind: int, right: int, child: int, first: int, size: int) -> bytes:
    written = name.encode("utf-16-le") + b"\0\0"
    return (
        written.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(written), kind, 1, FREE, right, child)
        + bytes(36)
        + struct.pack("<IQ", first, size)
    )


def outlook_message(subject: str, sender: str, body: str) -> bytes:
    """A message with a text; properties of variable length have separate streams."""
    texts = {0x0037: subject, 0x0042: sender, 0x1000: body}
    encoded = {tag: text.encode("utf-16-le") for tag, text in texts.items()}
    entries = [struct.pack("<IIII", tag << 16 | 0x1F, 6, len(data) + 2, 0) for tag, data in encoded.items()]
    streams = {f"__substg1.0_{tag:04X}001F": data for tag, data in encoded.items()}
    return compound_file({"__properties_version1.0": bytes(32) + b"".join(entries), **streams})
