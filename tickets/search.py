"""Full text over items and messages: FTS5 on SQLite, a tsvector on PostgreSQL.

The index is derived: the database itself keeps it in step (triggers on SQLite, an expression index on PostgreSQL), so
no writer can forget it, and `install` makes what is missing after every migration. Words match from their beginning,
whatever their case and accents; all words of a question must stand in one subject or in one message.
This finds items; who may see them is for `visible` to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, func, literal_column, or_, select, text

from tickets.tables import Message, WorkItem

#: Most words of a question that are looked for, and characters of each.
MOST_WORDS = 12
WORD_CHARS = 60
#: Characters of a subject and text that are indexed on PostgreSQL; a tsvector may not pass 1 MB.
INDEXED_CHARS = 100_000
#: Characters before and after the first word found, in the line that shows where it stands.
BEFORE_CHARS, AFTER_CHARS = 24, 96

#: Letters whose accents PostgreSQL leaves away in both the index and the question. SQLite's tokenizer knows them all.
_ACCENTED = "àáâãäåāăąçćčďđèéêëēėęěìíîïīįłľĺñńňòóôõöøōőŕřśšşșťţțùúûüūůűųýÿžźż"
_PLAIN = "aaaaaaaaacccddeeeeeeeeiiiiiilllnnnoooooooorrsssstttuuuuuuuuyyzzz"
assert len(_ACCENTED) == len(_PLAIN)
#: In capitals, too: what lower() does with them there depends on the database's locale. And signs, because PostgreSQL
#: would read "ORD-88" as a word and a negative number.
_SIGNS = "-_./@:#+%&=~"
_ACCENTED, _PLAIN = _ACCENTED + _ACCENTED.upper() + _SIGNS, _PLAIN * 2 + " " * len(_SIGNS)
#: In capitals, too: what lower() does with them there depends on the database's locale.
_ACCENTED, _PLAIN = _ACCENTED + _ACCENTED.upper(), _PLAIN * 2

_FTS = {"messages": ("subject", "text"), "items": ("subject",)}


def install(connection: Connection) -> None:
    """Make the index where it is missing, and fill it. Changes nothing where it stands."""
    if connection.dialect.name == "sqlite":
        for table, columns in _FTS.items():
            _install_fts(connection, table, columns)
    else:
        for table in _FTS:
            connection.execute(
                text(f"CREATE INDEX IF NOT EXISTS search_{table} ON {table} USING gin ({_vector_sql(table)})")
            )


def _install_fts(connection: Connection, table: str, columns: Sequence[str]) -> None:
    name, listed = f"search_{table}", ", ".join(columns)
    new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("new", "old"))
    stands = connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = :name"), {"name": name})
    put = f"INSERT INTO {name}(rowid, {listed}) VALUES (new.id, {new});"
    drop = f"INSERT INTO {name}({name}, rowid, {listed}) VALUES ('delete', old.id, {old});"
    changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
    if not stands:
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE {name} USING fts5({listed}, content='{table}', content_rowid='id', "
            "tokenize='unicode61 remove_diacritics 2')"
        )
    # A migration that copies a table leaves its triggers behind: then the index is filled anew.
    missing = 3 - (
        connection.scalar(
            text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table AND name LIKE :like"),
            {"table": table, "like": f"{name}_%"},
        )
        or 0
    )
    for when, body in (
        (f"put AFTER INSERT ON {table}", put),
        (f"drop AFTER DELETE ON {table}", drop),
        (f"change AFTER UPDATE ON {table} WHEN {changed}", drop + " " + put),
    ):
        action, _, rest = when.partition(" ")
        connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name}_{action} {rest} BEGIN {body} END")
    if missing:
        connection.exec_driver_sql(f"INSERT INTO {name}({name}) VALUES ('rebuild')")


def forget(connection: Connection) -> None:
    """Let nothing of what was erased stay in the index's own pages. PostgreSQL's vacuum does that by itself."""
    if connection.dialect.name == "sqlite":
        for table in _FTS:
            connection.exec_driver_sql(f"INSERT INTO search_{table}(search_{table}) VALUES ('optimize')")


def words_of(question: str) -> list[str]:
    """The words that are looked for, folded: at most MOST_WORDS; signs between them do not count."""
    plain = unicodedata.normalize("NFC", question.casefold()).replace("\0", " ")
    return [word[:WORD_CHARS] for word in re.findall(r"[^\W_]+", plain)][:MOST_WORDS]


def mentions(connection: Connection, question: str) -> ColumnElement[bool]:
    """True for items whose subject, or one of whose messages, has all words of the question. No words: none."""
    words = words_of(question)
    if not words:
        return false()
    in_messages = select(Message.item_id).where(_has(connection, "messages", words))
    return or_(_has(connection, "items", words), WorkItem.id.in_(in_messages))


def where_found(connection: Connection, question: str, item_ids: Iterable[int]) -> dict[int, str]:
    """For items of which a message has the words: the words around the first of them, in the newest such message."""
    words, ids = words_of(question), list(item_ids)
    if not words or not ids:
        return {}
    found = _has(connection, "messages", words)
    newest = (
        select(func.max(Message.id).label("id")).where(Message.item_id.in_(ids), found).group_by(Message.item_id)
    ).subquery()
    rows = connection.execute(select(Message.item_id, Message.text).join(newest, newest.c.id == Message.id))
    return {row.item_id: around(row.text, words) for row in rows}


def _has(connection: Connection, table: str, words: Sequence[str]) -> ColumnElement[bool]:
    """True for rows of `table` that have words beginning with each of these."""
    if connection.dialect.name == "sqlite":
        asked = " AND ".join(f'"{word}"*' for word in words)
        rows = text(f"SELECT rowid FROM search_{table} WHERE search_{table} MATCH :asked").bindparams(asked=asked)
        ids = {"messages": Message.id, "items": WorkItem.id}
        return ids[table].in_(rows)
    asked = " & ".join(f"{_plain(word)}:*" for word in words)
    vector: ColumnElement[Any] = literal_column(_vector_sql(table))
    return vector.op("@@", is_comparison=True)(func.to_tsquery("simple", asked))


def around(said: str, words: Sequence[str]) -> str:
    """The part of `said` around the first of the words, on one line. Empty when none of them stands in it."""
    line = " ".join(said[:INDEXED_CHARS].split())
    folded = _folded_alike(line)
    starts = [
        match.start() for word in words if (match := re.search(rf"(?<![^\W_]){re.escape(_folded_alike(word))}", folded))
    ]
    if not starts:
        return ""
    first = min(starts)
    begin, end = max(0, first - BEFORE_CHARS), first + AFTER_CHARS
    if begin:  # at the beginning of a word
        begin = line.find(" ", begin, first) + 1 or begin
    return ("…" if begin else "") + line[begin:end].strip() + ("…" if end < len(line) else "")


def _folded_alike(line: str) -> str:
    """Without case and accents, letter by letter, so that a place in it is the same place in `line`."""
    return "".join((unicodedata.normalize("NFD", one)[:1] or one).lower()[:1] or one for one in line)


def _plain(word: str) -> str:
    return word.translate(str.maketrans(_ACCENTED, _PLAIN))


def _vector_sql(table: str) -> str:
    """The indexed expression. Queries must repeat it to the letter, or PostgreSQL does not use the index."""
    whole = " || ' ' || ".join(f"coalesce({table}.{column}, '')" for column in _FTS[table])
    return f"to_tsvector('simple', lower(translate(left({whole}, {INDEXED_CHARS}), '{_ACCENTED}', '{_PLAIN}')))"
