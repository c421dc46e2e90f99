"""The parts of a desk as the settings pages show them: how each is read, shown in a form, saved and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from flask_babel import gettext, lazy_gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from tickets import custom_fields, places, staff
from tickets.custom_fields import FIELD_TYPES, FieldSpec
from tickets.errors import SettingRefused
from tickets.item import LANGUAGES, FieldType, ItemKind
from tickets.journal import Change, key_from
from tickets.kinds import KIND_LABELS
from tickets.people import ROLES
from tickets.places import PlaceSpec
from tickets.staff import TeamSpec, UserSpec
from web.forms import looks_like_email
from web.passwords import hash_password

Form: TypeAlias = MultiDict[str, str]
Menus: TypeAlias = Mapping[str, Mapping[str, str]]

#: Most lines of a field's options, and longest of a form's lines, in characters.
OPTION_CHARS = 60_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `used_as` is its name in `web.used_by`, "" where rules cannot name it."""

    key: str
    label: Any
    one: Any
    load: Callable[[Connection], Mapping[str, Any]]
    form: Callable[[Any], Form]
    save: Callable[[Connection, str, Form, Change], str]
    delete: Callable[[Connection, str, Change], None] | None
    used_as: str = ""
    menus: Callable[[Connection], Menus] = lambda _connection: {}

    def name_of(self, spec: Any) -> str:
        return str(getattr(spec, "label", None) or getattr(spec, "name", ""))


# Teams -----------------------------------------------------------------------------------------------------------


def _team_form(spec: TeamSpec | None) -> Form:
    form = Form({"label": spec.label if spec else "", "restricted": "1" if spec and spec.restricted else ""})
    form.setlist("members", list(spec.members) if spec else [])
    return form


def _save_team(connection: Connection, key: str, form: Form, by: Change) -> str:
    key = key or key_from(form.get("label", ""), staff.teams(connection))
    wanted = TeamSpec(key, form.get("label", ""), form.get("restricted") == "1", tuple(form.getlist("members")))
    staff.save_team(connection, wanted, by)
    return key


def _colleagues(connection: Connection) -> Menus:
    return {"members": {one.key: one.name for one in staff.users(connection).values() if one.active}}


# Places ----------------------------------------------------------------------------------------------------------


def _place_form(spec: PlaceSpec | None) -> Form:
    form = Form({"label": spec.label if spec else "", "zone": spec.zone if spec else "UTC"})
    form.setlist("locations", list(spec.locations) if spec else [])
    return form


def _save_brand(connection: Connection, key: str, form: Form, by: Change) -> str:
    key = key or key_from(form.get("label", ""), places.brands(connection))
    places.save_brand(connection, PlaceSpec(key, form.get("label", ""), form.get("zone", "").strip()), by)
    return key


def _save_location(connection: Connection, key: str, form: Form, by: Change) -> str:
    key = key or key_from(form.get("label", ""), places.locations(connection))
    places.save_location(connection, PlaceSpec(key, form.get("label", "")), by)
    return key


def _save_group(connection: Connection, key: str, form: Form, by: Change) -> str:
    key = key or key_from(form.get("label", ""), places.location_groups(connection))
    wanted = PlaceSpec(key, form.get("label", ""), "", tuple(form.getlist("locations")))
    places.save_location_group(connection, wanted, by)
    return key


def _locations(connection: Connection) -> Menus:
    return {"locations": {one.key: one.label for one in places.locations(connection).values()}}


# Custom fields ---------------------------------------------------------------------------------------------------

#: What people call the types of fields.
TYPE_LABELS: Mapping[str, Any] = {
    FieldType.TEXT: lazy_gettext("Text, one line"),
    FieldType.LONG_TEXT: lazy_gettext("Text, several lines"),
    FieldType.CHOICE: lazy_gettext("One of several"),
    FieldType.CHOICES: lazy_gettext("Any of several"),
    FieldType.NUMBER: lazy_gettext("Numeric value"),
    FieldType.MONEY: lazy_gettext("Amount of money"),
    FieldType.BOOL: lazy_gettext("Yes or no"),
    FieldType.TIME: lazy_gettext("Date and time"),
}


def _load_fields(connection: Connection) -> dict[str, FieldSpec]:
    return {f"{one.kind}.{one.key}": one for one in custom_fields.fields(connection)}


def _field_form(spec: FieldSpec | None) -> Form:
    if spec is None:
        return Form({"kind": ItemKind.TICKET.value, "type": FieldType.TEXT.value})
    options = "\n".join(key if key == label else f"{key}: {label}" for key, label in spec.options.items())
    return Form({"label": spec.label, "kind": spec.kind.value, "type": spec.type.value, "options": options})


def _save_field(connection: Connection, key: str, form: Form, by: Change) -> str:
    known = _load_fields(connection)
    label = form.get("label", "")
    old = known.get(key)
    try:
        kind = old.kind if old else ItemKind(form.get("kind", ""))
        type = old.type if old else FieldType(form.get("type", ""))
    except ValueError:
        raise SettingRefused(gettext("Choose a kind of item and a type. Nothing was saved.")) from None
    bare = old.key if old else key_from(label, (one.key for one in known.values() if one.kind is kind))
    options = read_options(form.get("options", "")) if type in (FieldType.CHOICE, FieldType.CHOICES) else {}
    custom_fields.save_field(connection, FieldSpec(kind, bare, label, type, options), by)
    return f"{kind}.{bare}"


def read_options(text: str) -> dict[str, str]:
    """Options from their lines: "key: Label", or the label alone. Raises `SettingRefused` for a key said twice."""
    if len(text) > OPTION_CHARS:
        raise SettingRefused(gettext("The options are too long. Nothing was saved."))
    options: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, label = line.partition(":")
        key, label = key.strip(), (label if colon else key).strip()
        if not key:
            continue
        if not colon:
            key = key_from(label, options)
        if key in options:
            raise SettingRefused(gettext("There are two options %(key)s. Nothing was saved.", key=key))
        options[key] = label
    return options


def _delete_field(connection: Connection, key: str, by: Change) -> None:
    kind, _, bare = key.partition(".")
    custom_fields.delete_field(connection, kind, bare, by)


def _field_menus(_connection: Connection) -> Menus:
    return {"kinds": KIND_LABELS, "types": {type.value: str(TYPE_LABELS[type]) for type in FIELD_TYPES}}


# People ----------------------------------------------------------------------------------------------------------

#: What people call the roles.
ROLE_LABELS: Mapping[str, Any] = {
    "agent": lazy_gettext("Agent: works on tickets"),
    "manager": lazy_gettext("Manager: and edits rules"),
    "developer": lazy_gettext("Developer: and edits scripts and connections"),
    "admin": lazy_gettext("Administrator: everything"),
}


def _user_form(spec: UserSpec | None) -> Form:
    one = spec or UserSpec("", "", "", ("agent",))
    form = Form({"name": one.name, "email": one.email, "zone": one.zone, "language": one.language})
    form["active"] = "1" if one.active else ""
    for field in ("roles", "teams", "brands", "locations"):
        form.setlist(field, list(getattr(one, field)))
    return form


def _save_user(connection: Connection, key: str, form: Form, by: Change) -> str:
    known = staff.users(connection)
    old = known.get(key)
    email, password = form.get("email", ""), form.get("password", "")
    if not looks_like_email(email.strip()):
        raise SettingRefused(gettext("They sign in with an e-mail address. Nothing was saved."))
    hashed = hash_password(password) if password or old is None else None
    key = key or key_from(form.get("name", "").partition(" ")[0], known)
    wanted = UserSpec(
        key, form.get("name", ""), email, tuple(form.getlist("roles")), tuple(form.getlist("teams")),
        tuple(form.getlist("brands")), tuple(form.getlist("locations")), form.get("language", "en"),
        form.get("zone", "UTC").strip(), old is None or form.get("active") == "1",
    )  # fmt: skip
    if wanted.language not in LANGUAGES:
        wanted = replace(wanted, language="en")
    staff.save_user(connection, wanted, by, password_hash=hashed)
    return key


def _user_menus(connection: Connection) -> Menus:
    return {
        "roles": {role: str(ROLE_LABELS.get(role, role)) for role in ROLES},
        "teams": {one.key: one.label for one in staff.teams(connection).values()},
        "brands": {one.key: one.label for one in places.brands(connection).values()},
        "locations": _locations(connection)["locations"],
        "languages": LANGUAGES,
    }


# All of them -----------------------------------------------------------------------------------------------------


PARTS: Mapping[str, Part] = {
    part.key: part
    for part in (
        Part("people", lazy_gettext("People"), lazy_gettext("person"), staff.users, _user_form, _save_user, None,
             "user", _user_menus),
        Part("teams", lazy_gettext("Teams"), lazy_gettext("team"), staff.teams, _team_form, _save_team,
             staff.delete_team, "team", _colleagues),
        Part("fields", lazy_gettext("Fields"), lazy_gettext("field"), _load_fields, _field_form, _save_field,
             _delete_field, "field", _field_menus),
        Part("brands", lazy_gettext("Brands"), lazy_gettext("brand"), places.brands, _place_form, _save_brand,
             places.delete_brand, "brand"),
        Part("locations", lazy_gettext("Locations"), lazy_gettext("location"), places.locations, _place_form,
             _save_location, places.delete_location, "location"),
        Part("location_groups", lazy_gettext("Groups of locations"), lazy_gettext("group of locations"),
             places.location_groups, _place_form, _save_group, places.delete_location_group, "location_group",
             _locations),
    )
}  # fmt: skip
