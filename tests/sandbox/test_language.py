"""Everyday Python that works in scripts, including what users of other restricted Pythons miss."""

from __future__ import annotations

import pytest

from tests.sandbox.hosts import Host, TableGateway

WORKS = {
    "augmented_name": ("x = 1\nx += 2\nx *= 3\nx -= 1\nx //= 2\nx **= 2\nx %= 7\nprint(x)", ["2"]),
    "augmented_item": ("d = {'a': [1]}\nd['a'] += [2]\nd['a'][0] += 5\nprint(d)", ["{'a': [6, 2]}"]),
    "augmented_attribute": ("class C:\n    n = 1\nc = C()\nc.n += 1\nprint(c.n, C.n)", ["2 1"]),
    "augmented_slice": ("x = [1, 2, 3]\nx[1:] += [4]\nprint(x)", ["[1, 2, 3, 4]"]),
    "augmented_evaluates_once": (
        "seen = []\ndef f():\n    seen.append(1)\n    return {'k': 1}\nf()['k'] += 1\nprint(len(seen))",
        ["1"],
    ),
    "class_with_methods": (
        "class Total:\n    def __init__(self, start=0):\n        self.sum = start\n    def add(self, n):\n"
        "        self.sum += n\n        return self\n    def __repr__(self):\n        return f'Total({self.sum})'\n"
        "print(Total(1).add(2), [Total()])",
        ["Total(3) [Total(0)]"],
    ),
    "inheritance": (
        "class A:\n    def name(self): return 'a'\nclass B(A):\n    def both(self): return self.name() + 'b'\n"
        "print(B().both(), isinstance(B(), A), issubclass(B, A))",
        ["ab True True"],
    ),
    "super": (
        "class A:\n    def __init__(self, x, *, y=1):\n        self.seen = [x, y]\n    def name(self): return 'A'\n"
        "    @classmethod\n    def make(cls): return cls(5)\n    @property\n    def p(self): return 'p'\n"
        "class B(A):\n    def __init__(self, x):\n        super().__init__(x, y=7)\n        self.seen.append('B')\n"
        "    def name(self): return super().name() + 'B'\n"
        "    @classmethod\n    def make(cls):\n        made = super().make()\n        made.seen.append('made')\n"
        "        return made\n    @property\n    def p(self): return super().p + 'q'\n"
        "class C(B):\n    def __init__(self):\n        super(C, self).__init__(1)\n"
        "    def name(self): return ''.join(super().name() for n in [1, 2])\n"
        "print(C().seen, C().name(), B.make().seen, C().p)",
        ["[1, 7, 'B'] ABAB [5, 7, 'B', 'made'] pq"],
    ),
    "super_of_many": (
        "class A:\n    def __init__(self):\n        super().__init__()\n        self.seen = ['A']\n"
        "class B(A):\n    def __init__(self):\n        super().__init__()\n        self.seen.append('B')\n"
        "class C(A):\n    def __init__(self):\n        super().__init__()\n        self.seen.append('C')\n"
        "class D(B, C):\n    def __init__(self):\n        super().__init__()\n        self.seen.append('D')\n"
        "    def __eq__(self, other): return self.seen == other.seen\n"
        "class E(D):\n    def __eq__(self, other): return super().__eq__(other)\nprint(E().seen, E() == D())",
        ["['A', 'C', 'B', 'D'] True"],
    ),
    "super_of_an_error": (
        "class Late(Exception):\n    def __init__(self, order, days):\n"
        "        super().__init__(f'{order} is {days} days late')\n        self.order = order\n"
        "try:\n    raise Late('SO-1', 3)\nexcept Late as e:\n    print(e, e.args, e.order)",
        ["SO-1 is 3 days late ('SO-1 is 3 days late',) SO-1"],
    ),
    "property_and_static": (
        "class A:\n    def __init__(self): self.n = 2\n    @property\n    def double(self): return self.n * 2\n"
        "    @staticmethod\n    def one(): return 1\n    @classmethod\n    def make(cls): return cls()\n"
        "print(A().double, A.one(), A.make().n)",
        ["4 1 2"],
    ),
    "operators_of_own_classes": (
        "class V:\n    def __init__(self, n): self.n = n\n    def __add__(self, o): return V(self.n + o.n)\n"
        "    def __eq__(self, o): return self.n == o.n\n    def __lt__(self, o): return self.n < o.n\n"
        "    def __len__(self): return self.n\n    def __getitem__(self, i): return i\n"
        "    def __call__(self): return 'c'\n"
        "print((V(1) + V(2)).n, V(1) == V(1), sorted([V(2), V(1)])[0].n, len(V(3)), V(1)[9], V(1)())",
        ["3 True 1 3 9 c"],
    ),
    "own_exception": (
        "class Odd(Exception):\n    pass\ntry:\n    raise Odd('x', 1)\nexcept Odd as e:\n    print(e.args, e)",
        ["('x', 1) ('x', 1)"],
    ),
    "star_arguments": (
        "def f(a, *rest, k=1, **more):\n    return a, rest, k, more\nprint(f(*[1, 2], **{'k': 3, 'z': 4}))",
        ["(1, (2,), 3, {'z': 4})"],
    ),
    "star_arguments_of_any_name": (
        "def f(function, args=1, kwargs=2):\n    return function, args, kwargs\n"
        "print(f(**{'function': 'x'}), f(*['y'], kwargs=3))",
        ["('x', 1, 2) ('y', 1, 3)"],
    ),
    "print_flushed": ("print('a', 'b', sep='-', end='!\\n', flush=True)", ["a-b!"]),
    "types_with_a_bar": (
        "print(isinstance('a', int | str), isinstance(1.5, str | int), isinstance(None, str | None),"
        " isinstance(now(), str | datetime.date), issubclass(str, str | int))",
        ["True False True True True"],
    ),
    "text_of_bytes": (
        "print(str('é'.encode(), encoding='utf-8'), str(b'\\xff', 'ascii', errors='replace') == chr(0xfffd))",
        ["é True"],
    ),
    "keyword_only_and_positional_only": ("def f(a, /, *, b):\n    return a + b\nprint(f(1, b=2))", ["3"]),
    "generators": (
        "def count(n):\n    i = 0\n    while i < n:\n        yield i\n        i += 1\ndef twice():\n"
        "    yield from count(2)\n"
        "    yield from count(2)\nprint(list(twice()), sum(x * x for x in count(4)))",
        ["[0, 1, 0, 1] 14"],
    ),
    "comprehensions": (
        "print([x for x in range(5) if x % 2], {x: x * x for x in range(3)}, {x for x in 'aab'} == {'a', 'b'},"
        " [(a, b) for a in 'ab' for b in '12'])",
        ["[1, 3] {0: 0, 1: 1, 2: 4} True [('a', '1'), ('a', '2'), ('b', '1'), ('b', '2')]"],
    ),
    "unpacking": (
        "a, (b, *c), d = 1, (2, 3, 4), 5\nfor k, v in {'x': 1}.items():\n    print(a, b, c, d, k, v)",
        ["1 2 [3, 4] 5 x 1"],
    ),
    "builtins": (
        "print(sorted([3, 1], reverse=True), list(zip('ab', (1, 2))), min(2, 1), max([1, 5]), any([0, 1]), all([]),"
        " list(enumerate('a')), list(map(str, [1])), list(filter(None, [0, 1])), list(reversed([1, 2])), round(2.5),"
        " abs(-1), divmod(7, 2), tuple([1]), frozenset([1]), bin(5), ord('a'), chr(98), callable(print))",
        [
            "[3, 1] [('a', 1), ('b', 2)] 1 5 True True [(0, 'a')] ['1'] [1] [2, 1] 2 1 (3, 1) (1,) frozenset({1})"
            " 0b101 97 b True"
        ],
    ),
    "text": (
        "n = 'Ann'\nprint(f'{n!r:>7}|{1234.5:,.2f}|{n=}', '%s-%03d' % (n, 7), n.lower().title(), 'a,b'.split(','),"
        " '-'.join(['x', 'y']), n[::-1], str(5) + repr('q'))",
        ["  'Ann'|1,234.50|n='Ann' Ann-007 Ann ['a', 'b'] x-y nnA 5'q'"],
    ),
    "try_else_finally": (
        "def f(n):\n    try:\n        if n: raise ValueError('v')\n"
        "    except (KeyError, ValueError) as e:\n        return f'caught {e}'\n"
        "    else:\n        return 'fine'\n    finally:\n        print('always')\nprint(f(0), f(1))",
        ["always", "always", "fine caught v"],
    ),
    "raise_from": (
        "try:\n    try:\n        1/0\n    except ZeroDivisionError as e:\n"
        "        raise ValueError('x') from e\nexcept ValueError as e:\n    print(e)",
        ["x"],
    ),
    "assert": ("try:\n    assert 1 == 2, 'no'\nexcept AssertionError as e:\n    print(e)", ["no"]),
    "annotations_are_ignored": (
        "from __future__ import annotations\nx: int = 1\ny: Foo\n"
        "def f(a: Bar = 2, *b: Baz) -> Qux:\n    return a\nprint(x, f())",
        ["1 2"],
    ),
    "nonlocal_and_global": (
        "total = 0\ndef outer():\n    n = 0\n    def inner():\n        nonlocal n\n"
        "        global total\n        n += 1\n        total += 1\n"
        "    inner()\n    inner()\n    return n\nprint(outer(), total)",
        ["2 2"],
    ),
    "walrus_ternary_lambda": ("print((n := 5) + n, 'a' if n > 3 else 'b', (lambda a, b=2: a * b)(3))", ["10 a 6"]),
    "slices_and_del": ("x = [1, 2, 3, 4]\ndel x[1:3]\nx[0] = 9\nprint(x, x[-1:], 'abc'[1:])\ndel x", ["[9, 4] [4] bc"]),
    "while_else_break": (
        "i = 0\nwhile i < 3:\n    i += 1\n    if i == 2: continue\nelse:\n    print('else', i)",
        ["else 3"],
    ),
    "sets_and_dicts": (
        "s = {1, 2}\ns.add(3)\ns |= {4}\nd = {**{'a': 1}, 'b': 2}\nd.setdefault('c', 3)\n"
        "d.update(e=5)\nprint(sorted(s & {3, 4}), d, d | {'z': 0})",
        ["[3, 4] {'a': 1, 'b': 2, 'c': 3, 'e': 5} {'a': 1, 'b': 2, 'c': 3, 'e': 5, 'z': 0}"],
    ),
    "getattr_and_hasattr": (
        "print(getattr(customer, 'name'), getattr(customer, 'zip', '-'), hasattr(ticket, 'tags'))",
        ["Ann Ek - True"],
    ),
    "isinstance": (
        "from datetime import datetime, date\n"
        "print(isinstance('a', str), isinstance(1, (str, int)), isinstance(customer, dict),"
        " isinstance(ticket.tags, list), isinstance(now(), datetime), isinstance(now().date(), date))",
        ["True True True True True True"],
    ),
    "subclass_of_text": ("print(issubclass(str, str), issubclass(bool, (str, int)))", ["True True"]),
    "print_options": ("print('a', 'b', sep='-', end='!')\nprint()\nprint('x\\ny')", ["a-b!", "x", "y"]),
    "sort_with_key": ("x = [{'n': 2}, {'n': 1}]\nx.sort(key=lambda r: r['n'])\nprint(x)", ["[{'n': 1}, {'n': 2}]"]),
    "text_method_as_key": ("print(sorted(['b', 'A'], key=str.lower))", ["['A', 'b']"]),
    "accents": ("é = 'Zoë'\nprint(é.upper(), len('€'))", ["ZOË 1"]),
    "codecs": ("print('é'.encode('latin-1').decode('latin-1'), 'é'.encode().hex())", ["é c3a9"]),
}


@pytest.mark.parametrize("name", WORKS)
def test_it_works(host: Host, name: str) -> None:
    source, printed = WORKS[name]
    assert host.logged(source) == printed


FACADES = {
    "json": ("print(json.loads('{\"a\": [1, null]}'), json.dumps({'b': 1, 'a': now()}, sort_keys=True))", None),
    "re_groups": (
        "m = re.search(r'(?P<y>\\d{4})-(\\d\\d)', 'on 2026-11')\n"
        "print(m.group(), m['y'], m.group(1, 2), m.groups(), m.start(), m.span(2))",
        ["2026-11 2026 ('2026', '11') ('2026', '11') 3 (8, 10)"],
    ),
    "re_sub": (
        "print(re.sub(r'\\d+', lambda m: str(int(m.group()) + 1), 'a1b9'), re.sub(r'(a)(b)', r'\\2\\1', 'ab'),"
        " re.split(r'[,;]', 'a,b;c'), re.findall('(?i)a', 'aA'), re.fullmatch('a+', 'aab'), re.escape('a.b'))",
        ["a2b10 ba ['a', 'b', 'c'] ['a', 'A'] None a\\.b"],
    ),
    "re_flags": (
        "p = re.compile('^b.c$', re.I | re.M | re.S)\n"
        "print(p.search('a\\nB\\nC') is not None, p.pattern, bool(re.search(r'a\\Z', 'a')))",
        ["True ^b.c$ True"],
    ),
    "datetime": (
        "from datetime import timedelta, timezone\nd = now() - timedelta(days=3, hours=2)\n"
        "print(d.isoformat(), (now() - d).days, d < now(),"
        " f'{d:%d/%m/%Y %H:%M}', d.strftime('%A'), d.date().strftime('%d'), d.replace(hour=0).hour, "
        "d.isocalendar().week)",
        ["2026-11-19T10:00:00+00:00 3 True 19/11/2026 10:00 Thursday 19 0 47"],
    ),
    "strptime": (
        "print(datetime.datetime.strptime('02.01.2026', '%d.%m.%Y'), "
        "datetime.datetime.fromisoformat('2026-01-02T03:04:05Z') < now(),"
        " datetime.date(2026, 1, 31).weekday(), datetime.datetime.combine(datetime.date(2026, 1, "
        "1), datetime.time(9)))",
        ["2026-01-02 00:00:00 True 5 2026-01-01 09:00:00"],
    ),
    "decimal": (
        "from decimal import Decimal, ROUND_HALF_UP\nprint(sum([Decimal('0.10'), Decimal('0.20')]) == Decimal('0.30'),"
        " Decimal('2.345').quantize(Decimal('0.01'), rounding=ROUND_HALF_UP), f\"{Decimal('1234.5'):,.2f}\")",
        ["True 2.35 1,234.50"],
    ),
    "math": (
        "print(math.floor(1.7), math.ceil(1.2), math.sqrt(9), round(math.pi, 2), math.isclose(0.1 + 0.2, 0.3))",
        ["1 2 3.0 3.14 True"],
    ),
    "cells_text": (
        "print(cells.contains_any('No refund, thanks', ['Réfund']), cells.contains_any('refunded', ['refund']),"
        " cells.same('  ÉTÉ ', 'ete'), cells.other(None, 'a'), cells.starts_with('Re: x', ['re:']),"
        " cells.matches('Order 42', '[0-9]+'), cells.has_none([], ['a']))",
        ["True False True True True True True"],
    ),
    "cells_numbers": (
        "print(cells.equal('1.50', 1.5), cells.between(3, [3, 4]), cells.greater(None, 1), cells.less('0.1', '0.10'),"
        " cells.older_than('2026-11-22T11:00:00+00:00', '1 h'), cells.newer_than(now(), '1 h'))",
        ["True True False False True True"],
    ),
    "cells_unknown": (
        "x = cells.greater(cells.unknown, 5)\nprint(bool(x), x is False, x, cells.at({'a': [{'b': 1}]}, 'a.0.b'),"
        " cells.at(cells.unknown, 'a'), cells.empty(cells.unknown) or 'nobody knows')",
        ["False False <unknown> 1 <unknown> nobody knows"],
    ),
    "cells_changes": (
        "print(cells.changed(None), cells.after(['a', 'b']), cells.before(['a', 'a']),"
        " cells.after([['A'], ['a', 'b']]), cells.before([['x'], None]))",
        ["False b None ['b'] ['x']"],
    ),
    "cells_filled": (
        "print(cells.filled('Hello {{name}}, {{n}} and {{tags}}.', {'name': None, 'n': 5, 'tags': ['a', 'b']}))",
        ["Hello, 5 and a, b."],
    ),
    "random": (
        "x = [1, 2, 3]\nrandom.shuffle(x)\n"
        "print(sorted(x), random.choice('a'), 0 <= random.random() < 1, random.randint(4, 4))",
        ["[1, 2, 3] a True 4"],
    ),
}


@pytest.mark.parametrize("name", FACADES)
def test_a_facade_works(host: Host, name: str) -> None:
    source, printed = FACADES[name]
    expected = printed or ['{\'a\': [1, None]} {"a": "2026-11-22T12:00:00+00:00", "b": 1}']
    assert host.logged(source) == expected


def test_the_ticket_reads_its_fields(host: Host) -> None:
    source = (
        'print(ticket.id, ticket.subject, ticket["status"], ticket.team, ticket.get("priority"), '
        "ticket.tags, len(ticket.tags))\n"
        'print(ticket.fields["order"], ticket.fields.order, ticket.fields.get("none"), "vip" in '
        "ticket.tags, ticket.customer.name)\n"
    )
    assert host.logged(source) == ["7 Charged twice open None normal ['vip'] 1", "SO-7 SO-7 None True Ann Ek"]


def test_other_facts_are_there(host: Host) -> None:
    lines = host.logged(
        'print(event.kind, event.changes["status"][0], history[0].text, len(history), '
        'params.amount, [k for k in params], "x" in event)',
        event={"kind": "changed", "changes": {"status": ["open", "solved"]}},
        history=[{"text": "hello"}],
        params={"amount": 5},
    )
    assert lines == ["changed open hello 1 5 ['amount'] False"]


def test_a_ticket_without_a_customer(host: Host) -> None:
    assert host.logged("print(customer, ticket.customer, ticket.tags)", customer=None, ticket={}) == ["None None []"]


def test_answers_read_by_key_and_by_attribute_and_go_on_as_plain_values(host: Host) -> None:
    answer = {"id": 1, "items": [{"sku": "A"}], "get": "x"}
    outcome = host.run(
        'r = crm.find_customer(email="a")\n'
        'print(r.id, r["id"], r["items"][0].sku, r.get("none", 0), r["get"], len(r), list(r), "id" in r)\n'
        'ticket.set_context("k", {"r": r, "t": (1, now().date()), "d": decimal.Decimal("1.50")})\n'
        "mine = dict(r)\nmine['id'] = 2\nprint(mine['id'], r.id)\n",
        TableGateway({"crm.find_customer": answer}),
    )
    assert outcome.error is None
    assert [line.text for line in outcome.log] == ["1 1 A 0 x 3 ['id', 'items', 'get'] True", "2 1"]
    assert outcome.actions[0].params == {"key": "k", "data": {"r": answer, "t": [1, "2026-11-22"], "d": "1.50"}}


HINTS = {
    "attribute": ("print(ticket.subjet)", "ATTRIBUTE", "ticket has no attribute 'subjet'", "Did you mean 'subject'?"),
    "operation": (
        "crm.find_custmer(email='a')",
        "ATTRIBUTE",
        "crm has no attribute 'find_custmer'",
        "Did you mean 'find_customer'?",
    ),
    "action": ("ticket.add_tag(['a'])", "ATTRIBUTE", "ticket has no attribute 'add_tag'", "Did you mean 'add_tags'?"),
    "name": ("print(tickt.id)", "NAME", "name 'tickt' is not defined", "Did you mean 'ticket'?"),
    "argument": (
        "crm.find_customer(emal='a')",
        "RUNTIME",
        "crm.find_customer has no argument 'emal'",
        "Did you mean 'email'?",
    ),
    "missing_argument": ("crm.find_customer()", "RUNTIME", "crm.find_customer needs email", "crm.find_customer(email)"),
    "too_many_arguments": (
        "crm.find_customer('a', 'b')",
        "RUNTIME",
        "crm.find_customer takes 1 argument, not 2",
        "crm.find_customer(email)",
    ),
    "twice": (
        "crm.find_customer('a', email='b')",
        "RUNTIME",
        "crm.find_customer gets 'email' twice",
        "crm.find_customer(email)",
    ),
    "wrong_type": ("crm.find_customer(email=5)", "VALUE", "email takes text, not a number", ""),
    "none_for_text": ("crm.find_customer(email=None)", "VALUE", "email needs a value, not None", ""),
    "text_for_list": ("ticket.add_tags('a')", "VALUE", "tags takes a list, not text", ""),
    "none_attribute": (
        "crm.find_customer(email='a').name",
        "ATTRIBUTE",
        "None has no attribute 'name'",
        "None means no match or no value; test it with `is None` first.",
    ),
    "key": ("ticket.fields['ordr']", "RUNTIME", "Your script raised KeyError: \"ordr: Did you mean 'order'?\"", ""),
    "datetime_module": (
        "datetime.now()",
        "ATTRIBUTE",
        "datetime has no attribute 'now'",
        "Did you mean 'datetime.datetime'?",
    ),
    "format": ("'{}'.format(1)", "FORBIDDEN", "Text has no format() in scripts", 'Use an f-string: f"{name}".'),
    "set_value": (
        "ticket.add_tags({'a'})",
        "VALUE",
        "ticket.add_tags(tags) is a set, which has no order",
        "Use sorted(...).",
    ),
    "infinite": ("ticket.set_field('a', float('inf'))", "VALUE", "ticket.set_field(value) is not a finite number", ""),
    "json_key": (
        "ticket.set_context('k', {1: 2})",
        "VALUE",
        "ticket.set_context(data) has the key 1, which is not text",
        "Use str(key).",
    ),
}


@pytest.mark.parametrize("name", HINTS)
def test_a_mistake_is_answered_with_a_way_out(host: Host, name: str) -> None:
    source, code, message, hint = HINTS[name]
    outcome = host.run("x = 1\n" + source)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message, outcome.error.hint) == (code, message, hint)
    assert outcome.error.line == 2
    assert outcome.actions == ()


def test_where_an_object_lies_in_memory_does_not_decide_its_place_in_a_set(host: Host) -> None:
    source = (
        "class A:\n    def __init__(self, n): self.n = n\n"
        "a = [A(n) for n in range(40)]\ns = set(a)\ns |= set(reversed(a))\n"
        "print([one.n for one in s] == list(range(40)), len({a[0], a[0], a[1]}), a[3] in s, A(3) in s)\n"
    )
    assert (
        host.logged(source) == host.logged(source, code=host.sandbox.compiled(source) or b"") == ["True 2 True False"]
    )


def test_an_error_of_the_scripts_own_may_have_a_class_of_its_own_beside_it(host: Host) -> None:
    source = (
        "class A:\n    x = 1\nclass B(A, ValueError): pass\n"
        "try:\n    raise B('b')\nexcept B as e:\n    print(e.x, e, {e: 2}[e])\n"
    )
    assert host.logged(source) == ["1 b 2"]
