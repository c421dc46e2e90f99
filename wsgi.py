"""The WSGI application: settings from the environment, the parts put together, the web on top."""

import gc

# What is imported here stays. Looking for garbage in it took a fifth of the import, and afterwards a tenth of a second
# in the middle of somebody's page, over and over; processes that gunicorn forks share what is left alone.
gc.disable()

from jobs import logs  # noqa: E402
from jobs.services import build  # noqa: E402
from jobs.settings import Settings  # noqa: E402
from web import create_app  # noqa: E402

settings = Settings.from_environ()
logs.configure(as_json=settings.log_json)
app = create_app(build(settings))

gc.freeze()
gc.enable()
