"""How the news of a child's end travels from the zygote to whoever waits for it: one record through a pipe."""

from __future__ import annotations

import struct

#: Wait status, CPU time in microseconds, peak resident memory in kB.
ENDED = struct.Struct("<iQQ")
#: Exit code of a child that could not finish its jail. It has read nothing by then.
EXIT_NO_JAIL = 71
