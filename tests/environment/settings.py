"""Settings without the library's walk through the environment, where that says nothing.

It asks for each of half a hundred fields, under each name that one may have, and each test has settings of its own:
more than is spent on opening its database. What is given and what is left out is checked as ever.
"""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel

from jobs.settings import Settings


def read_the_environment_where_it_speaks() -> None:
    """From now on, for this process."""
    patched: Any = Settings
    read = patched.__init__
    prefix = str(Settings.model_config["env_prefix"])
    named = {f"{prefix}{field}".upper() for field in Settings.model_fields}

    def init(self: Settings, **values: Any) -> None:
        if named.isdisjoint(map(str.upper, os.environ)) and Settings.model_fields.keys() >= values.keys():
            BaseModel.__init__(self, **values)
        else:
            read(self, **values)

    patched.__init__ = init
