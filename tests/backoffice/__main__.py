"""`python -m tests.backoffice build` prepares the back office; `where` prints its folder."""

from __future__ import annotations

import sys

from tests.backoffice.build import CannotBuild, build, build_key, cache_folder

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build"]:
            try:
                print(build().python.parent.parent.parent)
            except CannotBuild as error:
                sys.exit(f"The test back office was not built. {error}")
        case ["where"]:
            print(cache_folder() / build_key())
        case _:
            sys.exit("usage: python -m tests.backoffice build | where")
