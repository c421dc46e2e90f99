"""Every hook the policy writes into a script, every builtin and every member of a facade: attacked at least once.

The lists come from the product. What is new there without an attack here fails a test."""

from __future__ import annotations

import datetime
import decimal
from types import GeneratorType

import pytest

from sandbox import names
from sandbox.child import facades, guards, patterns
from tests.attacks.judge import each_line_refused, harmless, refused
from tests.sandbox.hosts import Host

#: Each hook: what it would let through if it were what Python does by itself, and how that is refused.
GUARDS = {
    "_getattr_": ('print("PWNED", json.members)', "ATTRIBUTE"),
    "_getitem_": ('print("PWNED", list[int])', "RUNTIME"),
    "_getiter_": ('for x in crm:\n    print("PWNED", x)', "RUNTIME"),
    "_write_": ('customer["name"] = "x"\nprint("PWNED")', "FORBIDDEN"),
    "_augattr_": ('customer.name += "x"\nprint("PWNED")', "FORBIDDEN"),
    "_augitem_": ('ticket.fields["order"] += "x"\nprint("PWNED")', "FORBIDDEN"),
    "_apply_": ('ticket.add_note(*["x"], **{"ticket_id": 8})\nprint("PWNED")', "RUNTIME"),
    "_caught_": ('try:\n    x = [0] * 10**9\nexcept Exception:\n    print("PWNED")', "MEMORY"),
    "_unpack_sequence_": ('(a, ticket.status) = (1, 2)\nprint("PWNED")', "FORBIDDEN"),
    "_iter_unpack_sequence_": ('for a, customer.name in [(1, 2)]:\n    print("PWNED")', "FORBIDDEN"),
    "__metaclass__": ('class A(dict):\n    pass\nprint("PWNED", A)', "FORBIDDEN"),
    "__name__": ('print("PWNED", __name__)', "FORBIDDEN"),
}
#: These refuse nothing; they change what comes out, and this is what must.
CHANGING = {
    "_inplacevar_": ("x = ticket.tags\nx += ['new']\nprint(ticket.tags, x)", "['vip'] ['vip', 'new']"),
    # Asked of the text itself: what is printed loses its addresses once more.
    "_mod_": ("x = '%s'\nx %= now\nprint('0x' in x, '0x' in '%r' % [now])", "False False"),
    "_format_": (
        "print('0x' in f'{now}', '0x' in f'{now!r}', '0x' in f'{now!a}', '0x' in f'{[now]!s}')",
        "False " * 3 + "False",
    ),
}
#: Catches nothing that must not be caught.
QUIET = {"_Exception_": 'try:\n    stop("now")\nexcept:\n    print("PWNED")'}


def test_every_hook_has_an_attack() -> None:
    assert GUARDS.keys() | CHANGING.keys() | QUIET.keys() == guards.machinery().keys()


@pytest.mark.parametrize("name", GUARDS)
def test_a_hook_refuses_what_it_is_there_for(host: Host, name: str) -> None:
    source, code = GUARDS[name]
    refused(host, source, code)


@pytest.mark.parametrize("name", CHANGING)
def test_a_hook_changes_what_it_is_there_for(host: Host, name: str) -> None:
    source, printed = CHANGING[name]
    assert harmless(host, source) == [printed]


@pytest.mark.parametrize("name", QUIET)
def test_a_bare_except_takes_nothing_that_ends_the_script(host: Host, name: str) -> None:
    outcome = host.run(QUIET[name])
    assert (outcome.status, outcome.stop_reason, outcome.log) == ("stopped", "now", ())


@pytest.mark.parametrize("way", ["print({})", "{} = 1", "def f({}): pass", "del {}", "[1 for {} in [1]]", "f'{{{}}}'"])
def test_no_script_names_a_hook(host: Host, way: str) -> None:
    messages = each_line_refused(host, [way.format(name) for name in sorted(guards.machinery())])
    assert all("starts with an underscore" in message for message in messages), messages


@pytest.mark.parametrize(
    "made", ["format(now)", "repr(now)", "repr([now])", "str(now)", "str([now])", "''.join([str(now)])"]
)
def test_text_that_a_script_makes_holds_no_address(host: Host, made: str) -> None:
    """Not only what is printed: a script could look for it, and write it into a field."""
    assert harmless(host, f"x = {made}\nprint('0x' in x, 'function' in x)") == ["False True"]


def hides(host: Host, name: str, attributes: list[str]) -> None:
    """A script that asks `name` for each of them by text is told no each time."""
    source = f"for hidden in {attributes!r}:\n    try:\n"
    source += f'        print("PWNED", getattr({name}, hidden))\n    except Exception as error:\n        print(error)\n'
    lines = harmless(host, source)
    assert len(lines) == len(attributes)
    assert all(line.endswith("starts with an underscore") for line in lines), (name, lines)


# Builtins ------------------------------------------------------------------------------------------------------------

TO_DICT = 'getattr(x, "__dict__")'
BUILTINS = {
    "abs": ("class A:\n    def __abs__(self): return 'PWNED'\nprint(abs(A()))", "FORBIDDEN"),
    "all": ("all(crm)", "RUNTIME"),
    "any": ("any(ticket)", "RUNTIME"),
    "bin": ("bin(crm)", "RUNTIME"),
    "bool": ("class A:\n    def __bool__(self): return 'PWNED'\nprint(bool(A()))", "RUNTIME"),
    "callable": ("print('PWNED', callable.__call__)", "FORBIDDEN"),
    "chr": ("ticket.add_note(chr(0xd800))", "VALUE"),
    "classmethod": ("print('PWNED', getattr(classmethod(now), '__wrapped__'))", "FORBIDDEN"),
    "dict": ("dict.update(customer, name='x')", "ATTRIBUTE"),
    "divmod": ("divmod(crm, 1)", "RUNTIME"),
    "enumerate": ("enumerate(crm)", "RUNTIME"),
    "filter": (f"list(filter(lambda x: {TO_DICT}, [ticket]))", "FORBIDDEN"),
    "float": ("ticket.set_field('f', float('nan'))", "VALUE"),
    "format": ("format(1, '>1999999999')", "MEMORY"),
    "frozenset": ("ticket.add_tags(frozenset(['a']))", "VALUE"),
    "getattr": ("print('PWNED', getattr((), '__class__'))", "FORBIDDEN"),
    "hasattr": ("print('PWNED', hasattr((), '__class__'))", "FORBIDDEN"),
    "hex": ("hex(crm)", "RUNTIME"),
    "int": ("int('9' * 5000)", "RUNTIME"),
    "isinstance": ("class A:\n    def __instancecheck__(self, x): return True\nisinstance(1, A)", "FORBIDDEN"),
    "issubclass": ("class A:\n    def __subclasshook__(self, x): return True\nissubclass(int, A)", "FORBIDDEN"),
    "iter": ("iter(crm)", "RUNTIME"),
    "len": ("class A:\n    def __len__(self): return -1\nlen(A())", "RUNTIME"),
    "list": ("list.append(ticket.tags, 'x')", "ATTRIBUTE"),
    "map": ("list(map(getattr, [()], ['__class__']))", "FORBIDDEN"),
    "max": (f"max([ticket], key=lambda x: {TO_DICT})", "FORBIDDEN"),
    "min": ("min(['/etc/passwd'], key=open)", "NAME"),
    "next": ("next(crm)", "RUNTIME"),
    "oct": ("oct(crm)", "RUNTIME"),
    "ord": ("ord(ticket)", "RUNTIME"),
    "pow": ("pow(2, crm)", "RUNTIME"),
    "print": ("print('PWNED', file=crm)", "RUNTIME"),
    "property": (f"class A:\n    p = property(lambda x: {TO_DICT})\nprint('PWNED', A().p)", "FORBIDDEN"),
    "range": ("list(range(10**12))", "MEMORY"),
    "repr": ("class A:\n    def __repr__(x): return " + TO_DICT + "\nrepr(A())", "FORBIDDEN"),
    "reversed": ("reversed(crm)", "RUNTIME"),
    "round": ("class A:\n    def __round__(self): return 'PWNED'\nprint(round(A()))", "FORBIDDEN"),
    "set": ("ticket.add_tags(set(['a']))", "VALUE"),
    "slice": ("ticket.tags[slice(0, 1)] = ['x']", "FORBIDDEN"),
    "sorted": (f"sorted([ticket], key=lambda x: {TO_DICT})", "FORBIDDEN"),
    "staticmethod": ("class A:\n    g = staticmethod(getattr)\nprint('PWNED', A.g((), '__class__'))", "FORBIDDEN"),
    "str": ("print('PWNED', str.format('{0.__class__}', ()))", "FORBIDDEN"),
    "sum": ("sum(crm)", "RUNTIME"),
    "super": ("print('PWNED', super(int, 5))", "RUNTIME"),
    "tuple": ("tuple(crm)", "RUNTIME"),
    "zip": ("list(zip(crm))", "RUNTIME"),
    "None": ("print('PWNED', None.mro)", "ATTRIBUTE"),
    "True": ("True = 0", "SYNTAX"),
    "False": ("False = 1", "SYNTAX"),
    "Ellipsis": ("print('PWNED', Ellipsis.mro)", "ATTRIBUTE"),
    "NotImplemented": ("print('PWNED', NotImplemented.mro)", "ATTRIBUTE"),
}


def test_every_builtin_has_an_attack() -> None:
    assert BUILTINS.keys() == names.BUILTINS


@pytest.mark.alike
@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_a_builtin_is_no_way_out(host: Host, name: str) -> None:
    source, code = BUILTINS[name]
    refused(host, source, code)


@pytest.mark.alike
@pytest.mark.parametrize("name", sorted(names.BUILTINS | names.EXCEPTIONS | names.VERBS | names.FACTS))
def test_nothing_a_script_finds_shows_its_inside_or_can_be_changed(host: Host, name: str) -> None:
    each_line_refused(host, [f'print("PWNED", {name}.__class__)', f'print("PWNED", {name}.tb_frame)'])
    refused(host, f'{name}.own = 1\nprint("PWNED")', "FORBIDDEN")
    refused(host, f'print("PWNED", getattr({name}, "__dict__"))', "FORBIDDEN")
    hides(host, name, ["__self__", "__globals__", "__module__", "__dict__"])


# Facades -------------------------------------------------------------------------------------------------------------

MEMBERS = {
    f"{name}.{member}": value for name, facade in facades.FACADES.items() for member, value in facade.members.items()
}
FACADES = {
    "json.loads": ("json.loads('{}', object_hook=print)", "RUNTIME"),
    "json.dumps": ("json.dumps(1, default=print)", "RUNTIME"),
    "re.search": ("re.search('(?=a)', 'a')", "RUNTIME"),
    "re.match": ("re.match('(a)\\\\1', 'aa')", "RUNTIME"),
    "re.fullmatch": ("re.fullmatch(crm, 'a')", "RUNTIME"),
    "re.findall": ("re.findall('((a{100}){100}){100}', 'a')", "RUNTIME"),
    "re.finditer": ("re.finditer('a', ticket)", "RUNTIME"),
    "re.sub": ("re.sub('a', lambda found: crm, 'a')", "RUNTIME"),
    "re.subn": ("re.subn('a', print, 'a')", "RUNTIME"),
    "re.split": ("re.split('a', ticket)", "RUNTIME"),
    "re.escape": ("re.escape(ticket)", "RUNTIME"),
    "re.compile": ("re.compile('a', 128)", "RUNTIME"),
    "re.error": ("class A(re.error):\n    pass\nprint('PWNED')", "FORBIDDEN"),
    "datetime.datetime": ("class A(datetime.datetime):\n    pass\nprint('PWNED')", "FORBIDDEN"),
    "datetime.date": ("datetime.date.today = now", "FORBIDDEN"),
    "datetime.time": ("print('PWNED', datetime.time.__init__)", "FORBIDDEN"),
    "datetime.timedelta": ("datetime.timedelta(days=10**20)", "RUNTIME"),
    "datetime.timezone": ("datetime.timezone(now)", "RUNTIME"),
    "datetime.UTC": ("datetime.UTC.utc = 1", "FORBIDDEN"),
    "decimal.Decimal": ("decimal.Decimal(crm)", "RUNTIME"),
    "decimal.InvalidOperation": ("class A(decimal.InvalidOperation):\n    pass\nprint('PWNED')", "FORBIDDEN"),
    "random.random": ("print('PWNED', random.random.__self__)", "FORBIDDEN"),
    "random.randint": ("random.randint(crm, 1)", "RUNTIME"),
    "random.randrange": ("random.randrange(crm)", "RUNTIME"),
    "random.choice": ("random.choice(crm)", "RUNTIME"),
    "random.choices": ("full = [0] * 14_000_000\nrandom.choices([1], k=10**10)", "MEMORY"),
    "random.sample": ("random.sample(crm, 1)", "RUNTIME"),
    "random.shuffle": ("random.shuffle(history)\nprint('PWNED')", "FORBIDDEN"),
    "random.uniform": ("random.uniform(crm, 1)", "RUNTIME"),
    "random.gauss": ("random.gauss(crm, 1)", "RUNTIME"),
    **{name: (f"{name}(crm, [1, 2])", "RUNTIME") for name in MEMBERS if name.startswith("cells.")},
    "cells.one_of": ("cells.one_of(1)", "RUNTIME"),
    "cells.none_of": ("cells.none_of(1)", "RUNTIME"),
    "cells.unknown": ("print('PWNED', cells.unknown.mro)", "ATTRIBUTE"),
    # What only computes with numbers is given something else; what is a number or a word shows nothing of its class.
    **{name: (f"{name}(crm)", "RUNTIME") for name in MEMBERS if name.startswith("math.") and callable(MEMBERS[name])},
    **{
        name: (f"print('PWNED', {name}.mro)", "ATTRIBUTE")
        for name in MEMBERS
        if type(MEMBERS[name]) in (int, float, str) or (name.startswith("re.") and name.isupper())
    },
}


def test_every_member_of_a_facade_has_an_attack() -> None:
    assert FACADES.keys() == MEMBERS.keys()


def test_check_and_completion_know_the_members_that_scripts_find() -> None:
    assert {f"{facade}.{name}" for facade, known in names.MEMBERS.items() for name in known} == MEMBERS.keys()


@pytest.mark.alike
@pytest.mark.parametrize("name", FACADES)
def test_a_member_of_a_facade_is_no_way_out(host: Host, name: str) -> None:
    source, code = FACADES[name]
    refused(host, source, code)


@pytest.mark.parametrize("facade", sorted(names.FACADES))
def test_no_member_of_a_facade_shows_its_inside_or_can_be_replaced(host: Host, facade: str) -> None:
    members = [one for one in MEMBERS if one.partition(".")[0] == facade]
    for name in members:
        hides(host, name, ["__self__", "__globals__", "__dict__", "__class__", "__mro__", "__init__"])
    source = "".join(
        f'try:\n    {name} = 1\n    print("PWNED")\nexcept Exception as error:\n    print(error)\n' for name in members
    )
    assert harmless(host, source) == [f"{facade} cannot be changed"] * len(members)
    refused(host, f'{members[0]} = 1\nprint("PWNED")', "FORBIDDEN")


# Types ---------------------------------------------------------------------------------------------------------------

#: A script's way to an object of each type that has attributes.
EXAMPLES = {
    str: "'a'",
    bytes: "'a'.encode()",
    int: "1",
    bool: "True",
    float: "1.5",
    complex: "1j",
    list: "[1]",
    dict: "{'a': 1}",
    set: "{1}",
    frozenset: "frozenset([1])",
    tuple: "(1,)",
    range: "range(2)",
    slice: "slice(1)",
    GeneratorType: "(one for one in [1])",
    property: "property(now)",
    datetime.datetime: "datetime.datetime.min",
    facades.Moment: "now()",
    datetime.date: "datetime.date.min",
    facades.Day: "datetime.date.today()",
    datetime.time: "datetime.time(9)",
    datetime.timedelta: "datetime.timedelta(days=1)",
    datetime.timezone: "datetime.UTC",
    type(datetime.date(2000, 1, 1).isocalendar()): "now().isocalendar()",
    decimal.Decimal: "decimal.Decimal(1)",
    patterns.Pattern: "re.compile('a')",
    patterns.Match: "re.match('a', 'a')",
}


def test_every_type_with_attributes_has_an_example() -> None:
    assert EXAMPLES.keys() == guards.ATTRIBUTES.keys()


@pytest.mark.alike
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_an_object_has_no_attribute_but_those_listed_for_its_type(host: Host, kind: type) -> None:
    """Asked for by text, every one that Python gives such objects, so that a new Python's new method is closed, too."""
    hidden = sorted(set(dir(kind)) - guards.ATTRIBUTES[kind])
    source = f"x = {EXAMPLES[kind]}\nfor name in {hidden!r}:\n    try:\n        getattr(x, name)\n"
    source += "        print('PWNED', name)\n    except Exception as error:\n        pass\nprint('asked')\n"
    assert harmless(host, source) == ["asked"]
    there = sorted(guards.ATTRIBUTES[kind])
    assert harmless(host, f"x = {EXAMPLES[kind]}\nfor name in {there!r}:\n    getattr(x, name)\n") == []
