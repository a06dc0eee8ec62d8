"""The drawings of docs/: the state machine, read off its definition, and the AWS home.

`make docs` writes them; `make check` says when they no longer show what there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from dandyroll.aws.statemachine import definition

_STYLE = """\
    .box { fill: #f4f1ea; stroke: #7a6f5a; stroke-width: 1.5 }
    .stage { fill: #e3ecf5; stroke: #44678a; stroke-width: 1.5 }
    .store { fill: #ffffff; stroke: #7a6f5a; stroke-width: 1.5; stroke-dasharray: 5 3 }
    .bad { fill: #f7e6e1; stroke: #9a5a48; stroke-width: 1.5 }
    .line { fill: none; stroke: #444; stroke-width: 1.5; marker-end: url(#tip) }
    .page { fill: #fffdf8 }
    text { fill: #222; text-anchor: middle } .small { font-size: 12px; fill: #555 }
    .left { text-anchor: start } .mono { font-family: ui-monospace, monospace; font-size: 13px }
"""


@dataclass(frozen=True)
class Box:
    """A labelled rectangle, in pixels; `says` is what stands under its name."""

    name: str
    left: int
    top: int
    width: int
    says: tuple[str, ...] = ()
    kind: str = "box"

    @property
    def height(self) -> int:
        return 32 + 16 * len(self.says)

    @property
    def middle(self) -> int:
        return self.left + self.width // 2

    def svg(self) -> str:
        x = self.middle
        lines = [
            f'  <rect class="{self.kind}" x="{self.left}" y="{self.top}" width="{self.width}" '
            f'height="{self.height}" rx="8"/>',
            f'  <text class="mono" x="{x}" y="{self.top + 21}">{escape(self.name)}</text>',
        ]
        for number, line in enumerate(self.says, 1):
            y = self.top + 22 + 16 * number
            lines.append(f'  <text class="small" x="{x}" y="{y}">{escape(line)}</text>')
        return "\n".join(lines)


def line(path: str) -> str:
    return f'  <path class="line" d="{path}"/>'


def note(x: int, y: int, text: str, side: str = "") -> str:
    return f'  <text class="small {side}" x="{x}" y="{y}">{escape(text)}</text>'.replace(' "', '"')


def drawing(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """A whole SVG document."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="14">\n'
        f"  <title>{escape(title)}</title>\n  <style>\n{_STYLE}  </style>\n"
        '  <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#444"/></marker></defs>\n'
        f'  <rect class="page" width="{width}" height="{height}" rx="10"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def machine_svg() -> str:
    """The state machine: its stages downwards, where each goes when it cannot go on."""
    states: Mapping[str, Any] = definition()["States"]
    stages, name = [], definition()["StartAt"]
    while name:
        stages.append(name)
        name = states[name].get("Next", "")
    gap, top = 150, 70
    boxes = [
        Box(stage, 290, top + gap * number, 240, _patience(states[stage]), "stage")
        for number, stage in enumerate(stages)
    ]
    done_state, gone_state, failure = (catch["Next"] for catch in states[stages[0]]["Catch"])
    middle = (boxes[0].top + boxes[-1].top) // 2
    gone = Box(gone_state, 30, middle, 170, ("deleted meanwhile", "Succeed"))
    done = Box(done_state, 30, top - 22, 170, ("done before", "Succeed"))
    record = Box(failure, 620, middle - 30, 210, ("writes the reason into the row",), "bad")
    failed = Box(states[failure]["Next"], 620, middle + 90, 210, ("Fail, with that reason",), "bad")
    x = boxes[0].middle
    parts = [note(x, 30, "Object Created under uploaded/"), line(f"M{x} 38V{top - 4}")]
    parts += [box.svg() for box in (*boxes, done, gone, record, failed)]
    for box, after in pairwise(boxes):
        parts.append(line(f"M{x} {box.top + box.height}V{after.top - 4}"))
        parts.append(note(x + 8, (box.top + box.height + after.top) // 2 + 4, "the job", "left"))
    for box in boxes:
        y = box.top + box.height // 2
        parts.append(line(f"M{box.left} {y}H{gone.left + gone.width + 44}V{gone.top + 32}"
                          f"H{gone.left + gone.width + 4}"))  # fmt: skip
        parts.append(line(f"M{box.left + box.width} {y}H{record.left - 44}V{record.top + 24}"
                          f"H{record.left - 4}"))  # fmt: skip
    y = done.top + done.height // 2
    parts.append(line(f"M{boxes[0].left} {y}H{done.left + done.width + 4}"))
    parts.append(note(boxes[0].left - 8, y - 8, "ImageSettled").replace("small", "small end"))
    y = boxes[0].top + boxes[0].height // 2 - 8
    parts.append(note(boxes[0].left - 8, y, "NotFound").replace("small", "small end"))
    parts.append(note(boxes[0].left + boxes[0].width + 8, y, "any other error", "left"))
    parts.append(line(f"M{record.middle} {record.top + record.height}V{failed.top - 4}"))
    end = boxes[-1].top + boxes[-1].height
    parts.append(line(f"M{x} {end}V{end + 36}"))
    parts.append(note(x, end + 54, "the row is processed"))
    style = "    .end { text-anchor: end }\n"
    svg = drawing("The state machine, from upload to rendition", 860, end + 80, parts)
    return svg.replace("  </style>", style + "  </style>")


def _patience(state: Mapping[str, Any]) -> tuple[str, ...]:
    ours, platform = state["Retry"]
    return (
        f"tried {ours['MaxAttempts'] + 1} times, {ours['IntervalSeconds']} to "
        f"{ours['MaxDelaySeconds']} s apart",
        f"throttled: up to {platform['MaxAttempts']} times more",
        f"each try at most {state['TimeoutSeconds']} s",
    )


def aws_svg(api_functions: Iterable[str]) -> str:
    """The AWS home, part by part; the functions behind the API are those given."""
    clients = Box("clients", 20, 120, 120, ("x-api-key",))
    cdn = Box("CloudFront", 20, 260, 120, ("signed URLs", "the page"))
    api = Box("API Gateway", 190, 120, 140, ("keys, usage plan", "throttling"))
    functions = Box("API functions", 380, 30, 190, tuple(api_functions), "stage")
    bucket = Box(
        "S3 bucket", 640, 30, 190, ("uploaded/", "hand-over/", "FINAL-IMAGES/", "web/"), "store"
    )
    table = Box("image-metadata", 640, 170, 190, ("DynamoDB, on demand", "stream"), "store")
    rule = Box("EventBridge rule", 890, 30, 180, ("Object Created", "under uploaded/"))
    lost = Box("lost events", 950, 150, 120, ("SQS, 14 days",), "bad")
    machine = Box(
        "state machine",
        890,
        260,
        180,
        ("update-size:", "new-size-image", "add-watermark:", "add-watermark", "record-failure"),
        "stage",
    )
    publish = Box("publish-events", 640, 300, 190, ("one event a settled row",), "stage")
    events = Box("Events", 640, 400, 190, ("SNS: mail, HTTPS, SQS",))
    sweep = Box("sweep", 380, 300, 190, ("on a schedule: starts", "what was lost"), "stage")
    watch = Box("CloudWatch", 190, 390, 140, ("logs, metrics", "alarms"))
    alarms = Box("Alarms", 20, 390, 120, ("SNS: mail",))
    boxes = (clients, cdn, api, functions, bucket, table, rule, lost, machine, publish, events,
             sweep, watch, alarms)  # fmt: skip

    def across(left: Box, right: Box, y: int) -> str:
        return line(f"M{left.left + left.width} {y}H{right.left - 4}")

    def down(upper: Box, lower: Box, x: int) -> str:
        return line(f"M{x} {upper.top + upper.height}V{lower.top - 4}")

    gap = sweep.left + sweep.width + 35
    under = machine.top + machine.height
    parts = [box.svg() for box in boxes] + [
        across(clients, api, clients.top + 24),
        down(clients, cdn, clients.middle),
        across(api, functions, api.top + 32),
        across(functions, bucket, bucket.top + 48),
        across(functions, table, table.top + 24),
        across(bucket, rule, bucket.top + 32),
        down(rule, lost, lost.middle),
        line(f"M{rule.left + 20} {rule.top + rule.height}V{machine.top - 4}"),
        line(
            f"M{machine.left} {machine.top + 20}H{machine.left - 28}V{table.top + 44}"
            f"H{table.left + table.width + 4}"
        ),
        line(
            f"M{machine.left - 28} {table.top + 44}V{bucket.top + 76}"
            f"H{bucket.left + bucket.width + 4}"
        ),
        down(table, publish, table.middle),
        down(publish, events, publish.middle),
        line(
            f"M{sweep.left + sweep.width} {sweep.top + 20}H{gap}V{table.top + 56}H{table.left - 4}"
        ),
        line(f"M{sweep.middle} {sweep.top + sweep.height}V480H{machine.middle}V{under + 4}"),
        line(f"M{watch.left} {watch.top + 32}H{alarms.left + alarms.width + 4}"),
        note(sweep.middle + 8, 472, "starts executions again", "left"),
        note(lost.middle - 42, rule.top + rule.height + 30, "undelivered"),
        note(watch.middle, watch.top - 8, "every function, every queue"),
        line(f"M{cdn.left + cdn.width} {cdn.top + 20}H{api.left + 30}V{api.top + api.height + 4}"),
    ]
    return drawing("The AWS home", 1090, 500, parts)
