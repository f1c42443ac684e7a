"""The records that travel between the rooms.

A record is checked when it is read and frozen afterwards, so whoever receives one checks nothing again. Errors are
fractions in [0, 1].
"""

# Rooms import `records` and say `records.Header`, so the package has the names of all files.
from alexnet.records.audits import *  # noqa: F403
from alexnet.records.cached import *  # noqa: F403
from alexnet.records.duplicates import *  # noqa: F403
from alexnet.records.excitations import *  # noqa: F403
from alexnet.records.explanations import *  # noqa: F403
from alexnet.records.header import *  # noqa: F403
from alexnet.records.neighbours import *  # noqa: F403
from alexnet.records.record import *  # noqa: F403
from alexnet.records.results import *  # noqa: F403
from alexnet.records.sources import *  # noqa: F403
