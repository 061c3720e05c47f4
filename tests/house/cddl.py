#!/usr/bin/env python3
"""cddl.py SCHEMA LOG...: every record of an event log against the schema, in the part of CDDL (RFC 8610) that the schema
uses: maps, groups by name, optional members, arrays of one type, choices, literals, ranges. Maps are closed here, although
readers have to ignore unknown fields: what is written has to be documented.

Prints the names of the events that occurred, one a line; exit status 1 with a message at the first record that differs."""
import json
import re
import sys

TOKEN = re.compile(r'\s+|;[^\n]*|("[^"]*")|(-?\d+\.\.-?\d+)|([A-Za-z_][\w-]*)|([=(){}\[\]?*/:,])')
PRIMITIVE = {
    "tstr": lambda v: isinstance(v, str),
    "uint": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


class Schema:
    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            m = TOKEN.match(text, at)
            if not m:
                sys.exit("schema: cannot read %r" % text[at:at + 20])
            if m.lastindex:
                self.tokens.append(m.group(0))
            at = m.end()
        self.at, self.rules = 0, {}
        while self.at < len(self.tokens):
            name = self.take()
            self.take("=")
            if name in self.rules:
                sys.exit("schema: %s is defined twice" % name)
            self.rules[name] = self.group(")") if self.peek() == "(" else self.type()
        self.check_names()

    def peek(self, ahead=0):
        i = self.at + ahead
        return self.tokens[i] if i < len(self.tokens) else None

    def take(self, want=None):
        t = self.peek()
        if t is None or (want and t != want):
            sys.exit("schema: %r where %r was expected" % (t, want))
        self.at += 1
        return t

    def type(self):
        alternatives = [self.one()]
        while self.peek() == "/":
            self.take()
            alternatives.append(self.one())
        return ("choice", alternatives)

    def one(self):
        t = self.peek()
        if t == "{":
            return self.group("}")
        if t == "[":
            self.take()
            self.take("*")
            inner = self.type()
            self.take("]")
            return ("array", inner)
        self.take()
        if t[0] == '"':
            return ("literal", t[1:-1])
        if ".." in t:
            low, high = t.split("..")
            return ("range", int(low), int(high))
        return ("name", t)

    def group(self, end):
        self.take("(" if end == ")" else "{")
        members = []
        while self.peek() != end:
            optional = self.peek() == "?"
            if optional:
                self.take()
            name = self.take()
            if self.peek() == ":":
                self.take()
                members.append(("member", name, optional, self.type()))
            else:
                members.append(("group", name))
            if self.peek() == ",":
                self.take()
        self.take(end)
        return ("map", members)

    def check_names(self):
        used = set(re.findall(r"\('(?:name|group)', '([\w-]+)'\)", repr(self.rules)))
        missing = used - set(self.rules) - set(PRIMITIVE)
        idle = set(self.rules) - used - {"record"}
        if missing or idle:
            sys.exit("schema: undefined %s, unused %s" % (sorted(missing), sorted(idle)))

    def members(self, node):
        for m in node[1]:
            if m[0] == "group":
                yield from self.members(self.rules[m[1]])
            else:
                yield m[1:]

    def fits(self, node, v):
        kind = node[0]
        if kind == "choice":
            return any(self.fits(n, v) for n in node[1])
        if kind == "literal":
            return v == node[1]
        if kind == "range":
            return PRIMITIVE["int"](v) and node[1] <= v <= node[2]
        if kind == "array":
            return isinstance(v, list) and all(self.fits(node[1], e) for e in v)
        if kind == "name":
            return PRIMITIVE[node[1]](v) if node[1] in PRIMITIVE else self.fits(self.rules[node[1]], v)
        if not isinstance(v, dict):
            return False
        known = {name: (optional, t) for name, optional, t in self.members(node)}
        return (all(optional or name in v for name, (optional, t) in known.items()) and
                all(name in known and self.fits(known[name][1], e) for name, e in v.items()))

    def event_names(self):
        out = set()

        def walk(node):
            if isinstance(node, tuple) and node[0] == "literal" and ":" in node[1] and "/" not in node[1]:
                out.add(node[1])
            elif isinstance(node, (tuple, list)):
                for n in node:
                    walk(n)
        for rule in self.rules.values():
            if rule[0] == "choice" and rule[1][0][0] == "map":
                for m in rule[1][0][1]:
                    if m[:2] == ("member", "name"):
                        walk(m[3])
        return out


def no_duplicates(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a field occurs twice")
    return dict(pairs)


def check_log(schema, path):
    with open(path, "rb") as f:
        data = f.read()
    records, seen, last = data.split(b"\x1e"), set(), 0
    if records[0] != b"" or len(records) < 2:
        sys.exit("%s does not begin with 0x1E" % path)
    for i, r in enumerate(records[1:]):
        if not r.endswith(b"\n") or r.count(b"\n") != 1:
            sys.exit("%s: record %d does not end in one 0x0A" % (path, i))
        v = json.loads(r, object_pairs_hook=no_duplicates)
        if not schema.fits(("name", "header" if i == 0 else "event"), v):
            sys.exit("%s: record %d is not as the schema says: %s" % (path, i, r.decode()))
        if i > 0:
            if v["time"] < last:
                sys.exit("%s: record %d: time runs backwards: %s" % (path, i, r.decode()))
            last = v["time"]
            seen.add(v["name"])
    return seen


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        schema = Schema(f.read())
    if len(sys.argv) == 2:
        print("\n".join(sorted(schema.event_names())))
        return
    seen = set()
    for path in sys.argv[2:]:
        seen |= check_log(schema, path)
    print("\n".join(sorted(seen)))


if __name__ == "__main__":
    main()
