"""What an import may bring: a template of the bucket and the table, as they stand in ours."""

import subprocess
import sys
from pathlib import Path

from dandyroll.aws.adopt import kept_template
from dandyroll.aws.checkout import find_checkout
from tests.aws.templates import parsed, template


def test_only_what_is_retained_is_imported() -> None:
    whole, kept = template(), parsed(kept_template(find_checkout()))
    retained = {
        n: r
        for n, r in whole["Resources"].items()
        if r.get("DeletionPolicy") == "RetainExceptOnCreate"
    }
    assert kept["Resources"] == retained
    assert "Transform" not in kept
    for part in ("Parameters", "Conditions"):
        assert kept[part] == whole[part]


def test_it_stands_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "kept.yaml"
    path.write_text(kept_template(find_checkout()), "utf-8")
    lint = [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W", "--", path]
    run = subprocess.run(lint, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
