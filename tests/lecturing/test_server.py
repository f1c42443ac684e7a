"""The server of the lecture's folder."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from alexnet.lecturing.server import serving


@pytest.mark.parametrize(
    ("host", "code"), [("localhost:{}", 200), ("127.0.0.1:{}", 200), ("evil.example:{}", 403), ("", 403)]
)
def test_a_folder_is_shown_to_pages_that_call_this_machine_by_its_own_name_alone(tmp_path, host, code):
    (tmp_path / "index.html").write_text("the lecture")
    with serving(tmp_path) as address:
        port = urlsplit(address).port
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/", headers={"Host": host.format(port)})
        answer = connection.getresponse()
        assert answer.status == code
        assert (b"the lecture" in answer.read()) == (code == 200)
        connection.close()
