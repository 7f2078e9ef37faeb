"""Attacks on other clients' products by statements of the API's own role, as of an API that forgot every check.

Each kind makes one statement up, about a victim. None of them sets the tenant: that is the API's word, by the token.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from psycopg import sql
from psycopg.abc import Params

from catalog.own_rows import COPIED, OWN, names
from catalog.store import COLUMNS as ALL_COLUMNS
from tests.attacks.tenants.world import World

COLUMNS = (
    "filename", "s3_path", "gender", "master_category", "sub_category", "article_type", "base_colour", "season",
    "usage", "product_display_name", "image_sha256", "brand",
)  # fmt: skip
HIDDEN = "unpublished_products"


@dataclass(frozen=True)
class Statement:
    """What is sent, and a setting that is sent before it."""

    query: sql.Composed
    values: Params
    before: sql.SQL | None = None


Kind = Callable[[random.Random, World, str], Statement]


def _made(text: str, values: Params = (), **names: str) -> Statement:
    slots = {name: sql.Identifier(value) for name, value in names.items()}
    return Statement(sql.SQL(text).format(**slots), values)


def _column(rng: random.Random) -> str:
    return rng.choice(COLUMNS)


def _number(rng: random.Random, world: World, victim: str) -> int:
    return rng.choice([row.id for row in (*world.hidden[victim], *world.shown[victim])])


def _hidden(rng: random.Random, world: World, victim: str) -> int:
    return rng.choice(world.hidden[victim]).id


def _table(rng: random.Random, world: World) -> str:
    return rng.choice([HIDDEN, "fashion_files", world.vectors])


def read_all(rng: random.Random, world: World, victim: str) -> Statement:
    """Whatever there is."""
    return _made("SELECT * FROM {t} ORDER BY {c} LIMIT %s", [rng.randint(1, 100)], t=HIDDEN, c=_column(rng))


def read_by_owner(rng: random.Random, world: World, victim: str) -> Statement:
    """By the owner, said in one way or another."""
    ways = ["owner = %s", "owner = ANY (ARRAY[%s])", "owner LIKE %s || '%%'", "NOT owner <> %s", "lower(owner) = %s"]
    way = rng.choice(ways)
    return _made("SELECT * FROM {t} WHERE " + way, [victim], t=HIDDEN)


def read_by_id(rng: random.Random, world: World, victim: str) -> Statement:
    """By a number that is known."""
    return _made("SELECT * FROM {t} WHERE id BETWEEN %s AND 9999999999", [_hidden(rng, world, victim)], t=HIDDEN)


def count(rng: random.Random, world: World, victim: str) -> Statement:
    """Facets and counts: the victim's name stands in the answer if any of its rows counts."""
    return _made("SELECT {c}, count(*) FROM {t} GROUP BY 1", t=HIDDEN, c=_column(rng))


def join(rng: random.Random, world: World, victim: str) -> Statement:
    """Beside what anybody may read."""
    how = rng.choice(["LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
    return _made(f"SELECT a.*, b.id FROM {{t}} AS a {how} fashion_files AS b ON a.owner = b.owner", t=HIDDEN)


def error(rng: random.Random, world: World, victim: str) -> Statement:
    """An error whose text holds the value."""
    way = rng.choice(["{c}::integer > 0", "{c}::date > now()", "{c}::uuid IS NULL", "to_number({c}, '9') > 0"])
    return _made("SELECT 1 FROM {t} WHERE owner <> '' AND " + way, t=HIDDEN, c=_column(rng))


def bisect(rng: random.Random, world: World, victim: str) -> Statement:
    """A division by zero where a row is there: 22012 tells of it."""
    return _made(
        "SELECT 1 FROM {t} WHERE 1 / (CASE WHEN id = %s THEN 0 ELSE 1 END) = 1 AND owner = %s",
        [_hidden(rng, world, victim), victim],
        t=HIDDEN,
    )


def lock(rng: random.Random, world: World, victim: str) -> Statement:
    """Hold the victim's rows, and read them."""
    return _made("SELECT * FROM {t} WHERE owner = %s FOR UPDATE NOWAIT", [victim], t=HIDDEN)


def statistics(rng: random.Random, world: World, victim: str) -> Statement:
    """What the planner knows of values."""
    return _made("SELECT * FROM pg_stats WHERE tablename = %s AND attname = %s", [HIDDEN, _column(rng)])


def nested(rng: random.Random, world: World, victim: str) -> Statement:
    """A query in a query."""
    query = "SELECT (SELECT string_agg(row::text, ' ') FROM {t} AS row WHERE id > %s)"
    return _made(query, [rng.randint(0, 10)], t=HIDDEN)


def without_policies(rng: random.Random, world: World, victim: str) -> Statement:
    """With what switches policies off for those who may."""
    return replace(read_all(rng, world, victim), before=sql.SQL("SET LOCAL row_security = off"))


def change(rng: random.Random, world: World, victim: str) -> Statement:
    """Another value, in any table."""
    number, table = _number(rng, world, victim), _table(rng, world)
    name = "product_id" if table == world.vectors else "id"
    column = rng.choice(["gender", "base_colour", "brand", "usage", "image_sha256"])
    return _made("UPDATE {t} SET {c} = 'taken' WHERE {n} = %s RETURNING *", [number], t=table, c=column, n=name)


def change_all(rng: random.Random, world: World, victim: str) -> Statement:
    """A WHERE that was forgotten."""
    column = rng.choice(["gender", "base_colour", "brand", "usage"])
    return _made("UPDATE {t} SET {c} = 'taken' RETURNING *", t=_table(rng, world), c=column)


def give_away(rng: random.Random, world: World, victim: str) -> Statement:
    """One's own product to the victim: as a line of its catalogue, or its vector."""
    return _made("UPDATE {t} SET owner = %s RETURNING *", [victim], t=_table(rng, world))


def take(rng: random.Random, world: World, victim: str) -> Statement:
    """The victim's product for oneself."""
    query = "UPDATE {t} SET owner = tenant() WHERE owner = %s RETURNING *"
    return _made(query, [victim], t=_table(rng, world))


def delete(rng: random.Random, world: World, victim: str) -> Statement:
    """What the victim has."""
    return _made("DELETE FROM {t} WHERE owner = %s RETURNING *", [victim], t=_table(rng, world))


def delete_all(rng: random.Random, world: World, victim: str) -> Statement:
    """A WHERE that was forgotten."""
    return _made("DELETE FROM {t} RETURNING *", t=_table(rng, world))


def create_hidden(rng: random.Random, world: World, victim: str) -> Statement:
    """A product that is not published, in the victim's name; as a new one, or in place of one."""
    reference = rng.choice(["new", f"ref-{rng.randrange(6)}"])
    return _made(
        "INSERT INTO unpublished_products (filename, s3_path, product_display_name, dataset, owner, image_sha256, "
        "reference) VALUES ('x', 'x', 'taken', 'curator', %s, 'x', %s) ON CONFLICT (owner, reference) "
        "DO UPDATE SET product_display_name = EXCLUDED.product_display_name RETURNING *",
        [victim, reference],
    )


def create_shown(rng: random.Random, world: World, victim: str) -> Statement:
    """A published one in the victim's name, or the catalogue's, or a client's that keeps its photos."""
    origin, number = rng.choice([("curator", 2 * 10**9), ("published", 2 * 10**9), ("catalogue", 10**6)])
    return _made(
        "INSERT INTO fashion_files (id, filename, s3_path, product_display_name, dataset, owner, split, image_sha256, "
        "origin, reference) VALUES (%s, 'x', 'x', 'taken', 'curator', %s, %s, 'x', %s, %s) "
        "ON CONFLICT (owner, reference) WHERE origin = 'curator' "
        "DO UPDATE SET product_display_name = EXCLUDED.product_display_name RETURNING *",
        [number + rng.randrange(1000), rng.choice([victim, None]) if origin != "curator" else victim,
         "train" if origin == "catalogue" else None, origin, f"ref-{rng.randrange(12)}"],
    )  # fmt: skip


def publish(rng: random.Random, world: World, victim: str) -> Statement:
    """What the victim keeps to itself, for all to see."""
    query = OWN["publish"].format(columns=ALL_COLUMNS, copied=names(COPIED))
    return Statement(query, {"owner": victim, "id": _hidden(rng, world, victim)})


def swap_vector(rng: random.Random, world: World, victim: str) -> Statement:
    """One's own vector for the victim's product, so that searches find it where it is not."""
    return _made(
        "INSERT INTO {v} SELECT * FROM {v} WHERE product_id = %s "
        "ON CONFLICT (product_id) DO UPDATE SET embedding = (SELECT embedding FROM {v} LIMIT 1) RETURNING product_id",
        [rng.choice(world.shown[victim]).id],
        v=world.vectors,
    )


def merge(rng: random.Random, world: World, victim: str) -> Statement:
    """MERGE, which is neither INSERT nor UPDATE nor DELETE."""
    table = rng.choice([HIDDEN, "fashion_files"])
    act = rng.choice(["UPDATE SET brand = 'taken'", "DELETE"])
    return _made(
        f"MERGE INTO {{t}} AS t USING (VALUES (%s)) AS v (o) ON t.owner = v.o WHEN MATCHED THEN {act} RETURNING t.*",
        [victim],
        t=table,
    )


READS: tuple[Kind, ...] = (
    read_all, read_by_owner, read_by_id, count, join, error, bisect, lock, statistics, nested, without_policies,
)  # fmt: skip
WRITES: tuple[Kind, ...] = (
    change, change_all, give_away, take, delete, delete_all, create_hidden, create_shown, publish, swap_vector, merge,
)  # fmt: skip
