"""The page at `/`: served whole, and needing nothing from anywhere else."""

import re
from pathlib import Path

from tests.local.served_home import open_served_home


def test_the_page_is_served_and_needs_no_other_host(tmp_path: Path) -> None:
    with open_served_home(tmp_path, workers=1) as served:
        status, headers, body = served.request("GET", "/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in headers["content-security-policy"]
        sources = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
        assert sources == ["data:,", "/page.js"]
        status, headers, script = served.request("GET", "/page.js")
        assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert b"http" not in script
