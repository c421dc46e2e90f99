"""Other people's HTML, made harmless: an allow-list of text elements, no images, styles, forms or scripts.

Remote images would tell the sender when and where a ticket is read, so there are none at all.
"""

from __future__ import annotations

import nh3
from markupsafe import Markup

from connectors.channels.email import HTML_CHARS, HTML_TAGS
from connectors.channels.mail_text import first_tags

_TAGS = frozenset(
    "a abbr b blockquote br code dd div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre s small span strong sub sup "
    "table tbody td th thead tr u ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
#: Elements that go with everything inside them; of others only the tag goes and the text stays.
_CONTENT = frozenset({"script", "style", "title", "head", "svg", "math", "template", "iframe", "object", "noscript"})


def clean(html: str) -> Markup:
    """What of this HTML may stand in a page.

    Beyond the bounds that mail has when it comes in, it is cut: the rest is in the plain text, and cleaning HTML takes
    the square of its depth."""
    return Markup(  # the one place where HTML of others is declared safe
        nh3.clean(
            first_tags(html[:HTML_CHARS], HTML_TAGS),
            tags=set(_TAGS),
            attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
            clean_content_tags=set(_CONTENT),
            url_schemes={"http", "https", "mailto", "tel"},
            link_rel="noopener noreferrer nofollow",
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )
    )
