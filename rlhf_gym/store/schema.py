"""The tables of the preference store. Rows are added and never changed, except what people are shown of a run."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = 5
TABLES = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite increments only INTEGER keys by itself

META = Table(
    "rlhf_gym_meta",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

RUNS = Table(
    "runs",
    TABLES,
    Column("number", Integer, primary_key=True),  # from 1; without any row, all queries are run 1's
    Column("name", Text, nullable=False, unique=True),
    Column("env_id", Text, nullable=False),
    Column("labels", BigInteger),  # the budget; NULL is unknown
    Column("instructions", Text, nullable=False),
    Column("levels", Text, nullable=False),  # a list in JSON
    Column("draw", Text, nullable=False),
)

SEGMENTS = Table(
    "segments",
    TABLES,
    Column("digest", Text, primary_key=True),  # of the other columns, so that equal segments are stored once
    Column("length", Integer, nullable=False),
    Column("terminated", Boolean, nullable=False),
    Column("arrays", LargeBinary, nullable=False),
    Column("origin", Text),
)

QUERIES = Table(
    "queries",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # the order of posting
    Column("id", Text, nullable=False, unique=True),  # prefixed with the run's number after the first run: 2:ID
    Column("kind", Text, nullable=False, server_default="comparison"),
    Column("why", Text, nullable=False),
    Column("value", Double),  # NULL is NaN, which SQLite can't hold
    Column("policy_step", BigInteger, nullable=False),
    Column("reward_version", BigInteger, nullable=False),
    Column("repeats", Text),  # id of the query asked again; no foreign key: an import may lack that query
    Column("posted_at", Double, nullable=False),
    Column("people", Integer, nullable=False, server_default="1"),  # number of people whose answers it needs
    Column("run", Integer, nullable=False, server_default="1"),
    Index("queries_by_run", "run"),
)

OPTIONS = Table(
    "options",
    TABLES,
    Column("query_id", Text, ForeignKey("queries.id"), primary_key=True),
    Column("place", Integer, primary_key=True),  # from 0, the left one of a comparison
    Column("segment", Text, ForeignKey("segments.digest"), nullable=False),
    sqlite_with_rowid=False,
)

ANSWERS = Table(
    "answers",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # the order of answering
    Column("query_id", Text, ForeignKey("queries.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("answer", Text),  # as its query's kind writes it; NULL withdraws the same person's earlier answer
    Column("shown_at", Double),
    Column("answered_at", Double, nullable=False),
    Index("answers_by_query_and_person", "query_id", "who", "number"),
)

LEASES = Table(
    "leases",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # a person's last lease on a query counts
    Column("query_id", Text, ForeignKey("queries.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("until", Double, nullable=False),  # seconds since 1970; ending a lease early adds a row
    Index("leases_by_query", "query_id", "number"),
    Index("leases_by_person", "who", "until"),
)

DROPPED = Table(
    "dropped",
    TABLES,
    Column("query_id", Text, ForeignKey("queries.id"), primary_key=True),
    Column("dropped_at", Double, nullable=False),
)
