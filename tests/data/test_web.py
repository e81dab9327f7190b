"""Downloads from a server on this machine's loopback."""

import gzip
import http.server
import threading

import pytest

from data.files import file, tarball
from sharpmin.data.sources import web_archive, web_files
from sharpmin.data.web import download
from sharpmin.errors import DataError
from sharpmin.progress import silent

PAGES = {
    "/plain": b"p" * 1000,
    "/zipped.gz": gzip.compress(b"zipped"),
    "/set.tar.gz": tarball([("folder/plain", b"p" * 1000)]),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        elif self.path in PAGES:
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGES[self.path])))
            self.end_headers()
            self.wfile.write(PAGES[self.path])
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_downloads_with_progress(address, tmp_path):
    seen = []
    path = download(f"{address}plain", tmp_path, lambda *what, unit: seen.append((*what, unit)))
    assert path.read_bytes() == PAGES["/plain"]
    assert seen[-1] == ("download plain", 1000, 1000, "B")


@pytest.mark.parametrize(("page", "says"), [("absent", "404"), ("cut", "cannot be reached|broke off")])
def test_a_failed_download_says_why(address, tmp_path, page, says):
    with pytest.raises(DataError, match=says):
        download(f"{address}{page}", tmp_path, silent)


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"127\.0\.0\.1 cannot be reached"):
        download("http://127.0.0.1:9/plain", tmp_path, silent)


def test_the_sources_made_of_downloads(address, tmp_path):
    plain, zipped = file("plain", PAGES["/plain"]), file("zipped", b"zipped")
    assert list(web_files(address, gzipped=False)([plain], tmp_path, silent)) == [(plain, PAGES["/plain"])]
    assert list(web_files(address, gzipped=True)([zipped], tmp_path, silent)) == [(zipped, b"zipped")]
    bring = web_archive(f"{address}set.tar.gz", folder="folder")
    assert list(bring([plain], tmp_path, silent)) == [(plain, PAGES["/plain"])]
