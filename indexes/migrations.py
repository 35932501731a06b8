"""The schema of ``passages.sqlite`` and its migrations.

``PRAGMA user_version`` holds the format version; step N migrates a file from format N - 1 to format N. The script of an
older format is never changed, because users have files of that format.
"""

import hashlib
import json
import sqlite3

_FORMAT_1 = """
    CREATE TABLE built_with (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        warning TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id INTEGER NOT NULL REFERENCES documents (id),
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        line INTEGER NOT NULL,
        page INTEGER,
        headings TEXT NOT NULL,
        text TEXT NOT NULL,
        vector BLOB NOT NULL
    );
    CREATE INDEX passages_of_document ON passages (document_id);
    CREATE VIRTUAL TABLE full_text USING fts5 (words, tokenize = 'porter unicode61 remove_diacritics 2');
    """

_FORMAT_2 = """
    DROP TABLE full_text;
    ALTER TABLE passages RENAME TO passages_1;
    ALTER TABLE documents RENAME TO documents_1;
    DROP INDEX passages_of_document;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        given INTEGER NOT NULL,       -- 0: a file of the folder; 1: a text that a program gave, path is its id
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,    -- -1: look at the file again
        ctime_ns INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        format TEXT NOT NULL,
        needs_ocr INTEGER NOT NULL,
        warning TEXT NOT NULL,
        metadata TEXT NOT NULL,       -- JSON, of given texts
        text TEXT NOT NULL,
        UNIQUE (given, path)
    );
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id INTEGER NOT NULL REFERENCES documents (id),
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        line INTEGER NOT NULL,
        page INTEGER,
        slide INTEGER,
        sheet TEXT NOT NULL,
        headings TEXT NOT NULL,       -- JSON
        language TEXT NOT NULL,
        text TEXT NOT NULL,
        key BLOB NOT NULL,            -- of what is embedded: equal keys have equal vectors
        saying BLOB NOT NULL,         -- equal where the same is said
        same_as INTEGER REFERENCES passages (id)  -- the passage that stands for this one in searches
    );
    CREATE INDEX passages_of_document ON passages (document_id, start);
    CREATE INDEX passages_by_key ON passages (key);
    CREATE INDEX repeats ON passages (same_as) WHERE same_as IS NOT NULL;
    CREATE INDEX kept ON passages (id) WHERE same_as IS NULL;
    CREATE TABLE vectors (passage_id INTEGER PRIMARY KEY REFERENCES passages (id), vector BLOB NOT NULL);
    CREATE INDEX sayings ON passages (saying) WHERE same_as IS NULL;
    CREATE VIRTUAL TABLE full_text USING fts5 (words, tokenize = 'unicode61 remove_diacritics 0');
    INSERT INTO documents
        SELECT id, 0, path, size, -1, 0, 0, sha256, '', 0, warning, '{}', text FROM documents_1;
    INSERT INTO passages
        SELECT id, document_id, start, end, line, page, NULL, '', headings, '', text, embedding_key(headings, text),
            x'', NULL
        FROM passages_1;
    INSERT INTO vectors SELECT id, vector FROM passages_1;
    DELETE FROM sqlite_sequence WHERE name = 'passages';
    INSERT INTO sqlite_sequence (name, seq) SELECT 'passages', seq FROM sqlite_sequence WHERE name = 'passages_1';
    INSERT OR REPLACE INTO built_with VALUES ('words', '0');
    INSERT OR REPLACE INTO built_with VALUES ('rows', '0');
    DROP TABLE passages_1;
    DROP TABLE documents_1;
    """
"""The rules for words changed, so words are not copied: searches demand a rebuild, which keeps the vectors."""

_FORMAT_3 = """
    CREATE TABLE sentence_vectors (   -- a cache: what searches computed of passages, sentence by sentence
        passage_id INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,
        key BLOB NOT NULL,            -- of the text, and of how it is cut into sentences
        vectors BLOB NOT NULL
    );
    """

WORDS_SINCE = 2
"""Files of older formats must be rebuilt, because the rules for words changed."""
FORMATS = (_FORMAT_1, _FORMAT_2, _FORMAT_3)


def embedding_key(embedded: str) -> bytes:
    """Hash of an embedded text, 16 bytes; it identifies the vector within one index, which has one embedder."""
    return hashlib.sha256(embedded.encode()).digest()[:16]


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate the file from format ``version`` (0: empty) to the newest, inside the caller's transaction."""
    connection.create_function("embedding_key", 2, _key_of_format_1, deterministic=True)
    for step, script in enumerate(FORMATS[version:], start=version + 1):
        for statement in filter(str.strip, _statements(script)):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {step}")


def _statements(script: str) -> list[str]:
    without_comments = "\n".join(line.split("--")[0] for line in script.splitlines())
    return without_comments.split(";")


def _key_of_format_1(headings: str, text: str) -> bytes:
    """The key is wrong if the title path was too long to be embedded whole; then the vector is computed again."""
    title = " > ".join(json.loads(headings))
    return embedding_key(f"{title}\n{text}" if title else text)
