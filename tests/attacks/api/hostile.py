"""Requests to /graphql that are made to exhaust, to probe or to confuse: a name and a body for each."""

from __future__ import annotations

import json
from typing import Any

SEARCH = 'query ($f: FileFilter) { searchByText(text: "x", filter: $f) { exact } }'
OWN = "query ($r: [String!]!) { ownProducts(references: $r) { reference } }"
FIELDS = "id filename s3Path masterCategory subCategory articleType baseColour season year usage gender"


def _body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def _query(document: str, **variables: Any) -> bytes:
    return _body(query=document, variables=variables)


def _bomb(fragments: int, fields: str = "id", spread: str = "...f{0} ...f{0}") -> str:
    """Fragments that each spread the next one twice: 2ⁿ visits for whoever follows them."""
    chain = " ".join(f"fragment f{n} on Query {{ {spread.format(n + 1)} }}" for n in range(fragments))
    return f"{{ ...f0 }} {chain} fragment f{fragments} on Query {{ allFiles {{ {fields} }} }}"


def _deep(levels: int, inner: str = "0") -> str:
    return "[" * levels + inner + "]" * levels


def _numbered(pattern: str, count: int) -> str:
    return " ".join(pattern.format(number) for number in range(count))


DOCUMENTS: dict[str, str] = {
    "fragment bomb of 9": _bomb(9),
    "fragment bomb of 20": _bomb(20),
    "fragment bomb of 200": _bomb(200),
    "fragment bomb of wide fragments": _bomb(9, fields="id " * 60),
    "fragments in a circle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "a fragment of itself": "{ ...a } fragment a on Query { ...a }",
    "fragments nested inline": "{" + "... on Query {" * 300 + "allFiles { id }" + "}" * 301,
    "fragments of nobody": "{ allFiles { id } }" + _numbered(" fragment f{} on Query {{ allFiles {{ id }} }}", 200),
    "a fragment spread often": "{" + "allFiles { ...F }" * 19 + "} fragment F on FashionFile { " + "id " * 600 + "}",
    "alias flood": "{" + _numbered("a{}: allFiles {{ id }}", 200) + "}",
    "alias flood of ten": "{" + _numbered("a{}: allFiles(limit: 100) {{ id filename s3Path }}", 10) + "}",
    "alias flood of fields": "{ allFiles { " + _numbered("a{}: id", 300) + " } }",
    "one field many times": "{ allFiles {" + " id" * 990 + "} }",
    "one selection many times": "{" + " allFiles { id }" * 240 + "}",
    "many fields many times": "{" + f" allFiles {{ {FIELDS} }}" * 65 + "}",
    "one deep selection many times": "{" + " files { edges { node { id } } }" * 95 + "}",
    "arguments that differ": "{" + _numbered("file(id: {}) {{ id }}", 110) + "}",
    "many unknown fields": "{" + _numbered("f{}", 990) + "}",
    "many nearly known fields": "{" + _numbered("allFile{}", 990) + "}",
    "many unknown arguments": "{ allFiles(" + _numbered("limi{}: 1", 320) + ") { id } }",
    "deep selections": "{" + "files {" * 300 + "id" + "}" * 301,
    "deep selections that are there": "{" + "files { edges { node {" * 30 + "id" + "}" * 91,
    "deep lists": "{ allFiles(limit: " + _deep(480) + ") { id } }",
    "deep lists of a thousand": "{ allFiles(limit: " + _deep(7_000) + ") { id } }",
    "deep input objects": '{ searchByText(text: "x", filter: ' + "{a: " * 300 + "1" + "}" * 300 + ") { exact } }",
    "a wide input object": '{ searchByText(text: "x", filter: {' + _numbered("a{}: 1", 320) + "}) { exact } }",
    "a huge list": '{ searchByText(text: "x", filter: {gender: [' + '"a" ' * 950 + "]}) { exact } }",
    "a page of everything": "{ allFiles(limit: 300000) { id } }",
    "a page of everything by cursor": "{ files(first: 2147483647) { edges { node { id } } } }",
    "a deep type of a variable": "query ($a: " + _deep(480, "Int") + ") { allFiles { id } }",
    "many variables": "query (" + _numbered("$v{}: Int", 240) + ") { allFiles { id } }",
    "directive flood": "{ allFiles " + "@skip(if: false) " * 150 + "{ id } }",
    "unknown directive flood": "{ allFiles " + "@a" * 490 + " { id } }",
    "directive flood of names": "{ allFiles " + _numbered("@a{}", 490) + " { id } }",
    "defer and stream": "{ ... @defer { allFiles @stream { id } } }",
    "introspection": "{ __schema { types { name fields { name type { name ofType { name } } } } } }",
    "introspection of a type": '{ __type(name: "Query") { fields { name } } }',
    "introspection in a circle": "{ __schema {" + " types { fields { type" * 20 + " { name }" + " } }" * 20 + " } }",
    "introspection flood": "{" + _numbered("a{}: __typename", 300) + "}",
    "two operations": "query a { allFiles { id } } query b { allFiles { id } }",
    "a subscription": "subscription { allFiles { id } }",
    "a mutation of others": 'mutation { promoteModel(version: "1", reason: "mine") { version } }',
    "a mutation of a curator": "mutation { deleteProduct(id: 1) { id } }",
    "a schema": "type Query { a: Int } " * 100,
    "comment flood": "{ allFiles { id } }" + "\n#" * 120_000,
    "comment flood of a few kilobytes": "{ allFiles { id } }" + "\n#" * 8_000,
    "one long comment": "{ allFiles { id } } #" + "x" * 250_000,
    "comma flood": "{ allFiles { id } }" + "," * 250_000,
    "line flood": "{ allFiles { id } }" + "\r\n" * 100_000,
    "a long block string": '{ searchByText(text: """' + "a\n  " * 60_000 + '""") { exact } }',
    "a block string of a few kilobytes": '{ searchByText(text: """' + "a\n  " * 4_000 + '""") { exact } }',
    "block string of quotes": '{ searchByText(text: """' + '\\"""' * 4_000 + '""") { exact } }',
    "a long string": '{ searchByText(text: "' + "a" * 250_000 + '") { exact } }',
    "escapes": '{ searchByText(text: "' + "\\u0041" * 2_600 + '") { exact } }',
    "half a character": '{ searchByText(text: "\\ud800") { exact } }',
    "an open string": '{ searchByText(text: "' + "a" * 16_000,
    "a long name": "{ " + "x" * 250_000 + " }",
    "a name of a few kilobytes": "{ " + "x" * 16_000 + " }",
    "a long alias": "{ " + "x" * 16_000 + ": allFiles { id } }",
    "a number of 4,000 digits": "{ allFiles(limit: " + "1" * 4_000 + ") { id } }",
    "a number of 16,000 digits": "{ allFiles(limit: " + "1" * 16_000 + ") { id } }",
    "a large exponent": '{ searchByText(text: "x", minScore: 1e999999999) { exact } }',
    "control characters": "{ allFiles { id } \x00\x01\x02 }",
    "a mark of order": "\ufeff{ allFiles { id } }" * 100,
    "brackets": "(" * 16_000,
    "braces": "{" * 16_000,
    "dots": "." * 16_000,
    "nothing": "",
    "spaces": " " * 200_000,
}

VARIABLES: dict[str, bytes] = {
    "deep variables": b'{"query": "{ allFiles { id } }", "variables": {"a": ' + _deep(100_000).encode() + b"}}",
    "variables as deep as JSON allows": _query(SEARCH, f=json.loads(_deep(400))),
    "a variable of many values": _query(SEARCH, f={"gender": ["a"] * 50_000}),
    "a variable of many wrong values": _query(SEARCH, f={"gender": [1] * 80_000}),
    "a variable of many unknown fields": _query(SEARCH, f={f"gende{number}": 1 for number in range(14_000)}),
    "a few unknown fields": _query(SEARCH, f={f"gende{number}": 1 for number in range(1_900)}),
    "many variables that nobody asked for": _query("{ allFiles { id } }", **{f"v{n}": 1 for n in range(14_000)}),
    "a list of nulls": _query(OWN, r=[None] * 40_000),
    "a list of lists": _query(OWN, r=[[]] * 60_000),
    "a long text": _query(SEARCH, f={"gender": ["x" * 250_000]}),
    "a number of many digits": b'{"query": "{ allFiles { id } }", "variables": {"a": ' + b"1" * 200_000 + b"}}",
    "a number beyond floats": b'{"query": "{ allFiles { id } }", "variables": {"a": 1e999}}',
    "members given twice": b'{"query": "{ allFiles { id } }", "query": "{ __schema { types { name } } }"}',
}

BODIES: dict[str, bytes] = {
    "a batch": b"[" + b",".join([_query("{ allFiles { id } }")] * 1_000) + b"]",
    "a batch of one": b"[" + _query("{ allFiles { id } }") + b"]",
    "a batch in an object": b'{"0": ' + _query("{ allFiles { id } }") + b"}",
    "a long operation name": _body(query="query a { allFiles { id } }", operationName="x" * 250_000),
    "extensions": _body(query="{ allFiles { id } }", extensions={"persistedQuery": {"a": "x" * 9_000}}),
    "an open bracket flood": b"[" * 250_000,
    "an open brace flood": b'{"a":' * 50_000,
    "beyond the limit": b'{"query": "' + b" " * 300_000 + b'"}',
    "no UTF-8": b'{"query": "\xff\xfe"}',
    "UTF-16": _query("{ allFiles { id } }").decode().encode("utf-16"),
    "nothing": b"",
}

CORPUS: dict[str, bytes] = {
    **{name: _query(document) for name, document in DOCUMENTS.items()},
    **VARIABLES,
    **{f"body: {name}": body for name, body in BODIES.items()},
}
