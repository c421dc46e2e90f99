"""What a row does: steps that are planned or refused, and the texts they send."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

GROUPS = "tests/rules/test_groups.py::"
ACTIONS = "tests/rules/test_actions.py::"
TEMPLATES = "tests/rules/test_templates.py::"


def _action_refusal(file: str, name: str, old: str, new: str) -> Mutation:
    return Mutation(name, f"rules/{file}.py", old, new, ACTIONS + "test_what_makes_no_sense_is_refused_with_a_sentence")


MUTATIONS = (
    # Planning
    _action_refusal(
        "actions",
        "an action that does not exist",
        '        raise ActionRefused(no_such("action", action, {one.key: one.label for one in ACTIONS.values()}))\n',
        "        return {}\n",
    ),
    _action_refusal(
        "actions", "a parameter that does not exist", "        if key not in known:\n", "        if False:\n"
    ),
    _action_refusal(
        "actions", "a parameter that must be there", "            if param.required:\n", "            if False:\n"
    ),
    _action_refusal("actions", "a team that does not exist", "    if value not in options:\n", "    if False:\n"),
    _action_refusal(
        "state_actions", "a field no rule may set", "    if target.state_key in READ_ONLY:\n", "    if False:\n"
    ),
    _action_refusal(
        "state_actions",
        "a value the field's menu does not have",
        "                if one not in declared.options:\n".replace("                ", "            ", 1),
        "            if False:\n",
    ),
    _action_refusal(
        "wording",
        "a text or a template",
        '    if ("text" in params) == ("template" in params):',
        "    if False:",
    ),
    _action_refusal(
        "message_actions",
        "somebody to notify",
        'if not any(params.get(key) for key in ("users", "teams", "brands", "locations", "location_groups")):',
        "if False:",
    ),
    _action_refusal(
        "outside_actions",
        "a card's key",
        'if not key.replace("_", "a").replace("-", "a").isalnum() or len(key) > 40:',
        "if False:",
    ),
    _action_refusal(
        "outside_actions", "the inputs of a lookup", "        if name not in spec.inputs:\n", "        if False:\n"
    ),
    _action_refusal("outside_actions", "all inputs of a lookup", "    if unbound:\n", "    if False:\n"),
    _action_refusal(
        "actions",
        "the placeholders of a text",
        "                problems = text_problems(value, vocabulary, param.names)\n",
        "                problems = []\n",
    ),
    _action_refusal(
        "actions", "the size of a card", "            if _json_chars(value) > MAX_JSON_CHARS:", "            if False:"
    ),
    _action_refusal(
        "actions", "the number of tags", "            if len(members) > MAX_MEMBERS:", "            if False:"
    ),
    Mutation(
        "a step that changes nothing does nothing",
        "rules/actions.py",
        "            if not changes:\n                continue\n",
        "",
        ACTIONS + "test_a_step_that_would_change_nothing_plans_nothing",
    ),
    Mutation(
        "a script's text is no template",
        "rules/actions.py",
        "plan(call.action, call.params, facts, vocabulary, literal=True)",
        "plan(call.action, call.params, facts, vocabulary)",
        ACTIONS + "test_a_scripts_text_is_sent_as_it_is",
    ),
    Mutation(
        "a script's calls see the ones before",
        "rules/actions.py",
        "        facts = facts.with_state(staged_by(effects, facts))\n",
        "",
        ACTIONS + "test_a_scripts_calls_see_what_the_ones_before_staged",
    ),
    Mutation(
        "a script's limit of effects",
        "rules/actions.py",
        "        if effects_left < 0:",
        "        if False:",
        ACTIONS + "test_a_script_has_the_limit_of_effects_too",
    ),
    # Templates
    Mutation(
        "the groups a text may read",
        "rules/templates.py",
        '        if name.partition(".")[0] in GROUPS and _exists(name, vocabulary):',
        "        if _exists(name, vocabulary):",
        TEMPLATES + "test_a_forbidden_name_renders_as_nothing_even_when_it_was_saved_before",
    ),
    Mutation(
        "placeholders that do not exist",
        "rules/templates.py",
        '        if name.partition(".")[0] not in GROUPS or not _exists(name, vocabulary):',
        "        if False:",
        TEMPLATES + "test_a_text_that_cannot_be_rendered_has_its_problem",
    ),
    Mutation(
        "values are not looked through for placeholders",
        "rules/templates.py",
        "    result = _SPACED.sub(fill, text)\n",
        "    result = _SPACED.sub(fill, _SPACED.sub(fill, text))\n",
        TEMPLATES + "test_a_value_is_never_looked_through_for_placeholders",
    ),
    Mutation(
        "the length of a rendered text",
        "rules/templates.py",
        "result[:MAX_RENDERED_CHARS]",
        "result",
        TEMPLATES + "test_the_result_has_a_bound",
    ),
)
