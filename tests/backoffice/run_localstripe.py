"""Runs inside the back office's own environment: the Stripe API double on a loopback port, in memory only.

Its own command binds every interface and writes its store to a file; neither is wanted here.
"""

import sys

from aiohttp import web
from localstripe import resources
from localstripe.server import app

resources.store.dump_to_disk = lambda *_args, **_kwargs: None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
