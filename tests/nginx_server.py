"""nginx as people put it before several replicas: one address, each request to the next of them."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers import WebServer, folder_of_a_server

CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    log_format by_upstream '$upstream_addr $status $request_method';
    access_log {folder}/access.log by_upstream;
    {temporary}
    upstream replicas {{ {replicas} }}
    server {{
        listen 127.0.0.1:{port};
        location = /nginx {{ return 200; }}
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str | None:
    """Where it is; Debian keeps it off the path of people who are no administrators."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class NginxServer(WebServer):
    """One address before several."""

    @property
    def answered(self) -> list[int]:
        """The ports of those that answered, in order."""
        lines = (self.folder / "access.log").read_text().split("\n")
        return [int(line.split()[0].rsplit(":", 1)[1]) for line in lines if line.startswith("127.0.0.1:")]


@contextlib.contextmanager
def nginx_before(ports: Sequence[int]) -> Iterator[NginxServer]:
    """Run one before replicas at these ports, while the block runs."""
    program = nginx_program()
    assert program is not None, "nginx is not installed: apt-get install nginx-light"
    with folder_of_a_server() as folder:
        server = NginxServer(folder, "/nginx")
        (folder / "nginx.conf").write_text(written(folder, server.port, ports))
        server.start(program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
        try:
            yield server
        finally:
            server.kill()


def written(folder: Path, port: int, ports: Sequence[int]) -> str:
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    replicas = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;" for each in ports)
    return CONFIG.format(folder=folder, port=port, temporary=temporary, replicas=replicas)
