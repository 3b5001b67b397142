"""The tables of the preference store. Rows are added and never changed."""

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

SCHEMA_VERSION = 3
OLDER = {"1", "2"}
"""Versions that lack tables and columns of `queries` alone: what is missing is made when such a database is opened."""
TABLES = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself in INTEGER keys alone

META = Table(
    "rlhf_gym_meta",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

QUERIES = Table(
    "queries",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # the order of posting
    Column("id", Text, nullable=False, unique=True),
    Column("why", Text, nullable=False),
    Column("value", Double),  # NULL is NaN, which SQLite can't hold
    Column("policy_step", BigInteger, nullable=False),
    Column("reward_version", Integer, nullable=False),
    Column("posted_at", Double, nullable=False),
    Column("length", Integer, nullable=False),
    Column("repeats", Text),  # id of the query asked again; no foreign key, for a set may be imported without it
    Column("people", Integer, nullable=False, default=1, server_default="1"),  # how many people's answers it wants
    *(
        Column(f"{side}_{name}", kind, nullable=name == "origin")
        for side in ("left", "right")
        for name, kind in (("arrays", LargeBinary), ("terminated", Boolean), ("origin", Text))
    ),
)

ANSWERS = Table(
    "answers",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # the order of answering
    Column("query_id", Text, ForeignKey("queries.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("answer", Text),  # NULL withdraws what the same person said before
    Column("shown_at", Double),
    Column("answered_at", Double, nullable=False),
    Index("answers_by_query_and_person", "query_id", "who", "number"),
)

LEASES = Table(
    "leases",
    TABLES,
    Column("number", _NUMBER, primary_key=True),  # of several of one person on one query, the last counts
    Column("query_id", Text, ForeignKey("queries.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("until", Double, nullable=False),  # seconds since 1970; a lease that ends early gets a row that says so
    Index("leases_by_query", "query_id", "number"),
    Index("leases_by_person", "who", "until"),
)

DROPPED = Table(
    "dropped",
    TABLES,
    Column("query_id", Text, ForeignKey("queries.id"), primary_key=True),
    Column("dropped_at", Double, nullable=False),
)
