"""Our own CloudWatch metrics: lines in the log, in the embedded metric format.

Each name in `METRICS` is one series and costs as much a month whatever it counts, so there are
few; what AWS counts by itself (calls, errors, throttles, durations, queue depths) is not here.
The format: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

import json
import time
from collections.abc import Mapping

NAMESPACE = "Dandyroll"
DIMENSION = "Stack"

METRICS: Mapping[str, str] = {
    "OldestUnprocessedSeconds": "Seconds",
    "UploadsStartedAgain": "Count",
    "ImagesProcessed": "Count",
    "ImagesFailed": "Count",
    "ImagesFailedByUs": "Count",
}
"""Every metric of ours, and its unit."""


def emit(stack: str, **values: int) -> None:
    """Write the values down; CloudWatch makes points of them. `KeyError` for unknown names."""
    about = {
        "Timestamp": round(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [[DIMENSION]],
                "Metrics": [{"Name": name, "Unit": METRICS[name]} for name in values],
            }
        ],
    }
    print(json.dumps({"_aws": about, DIMENSION: stack, **values}), flush=True)
