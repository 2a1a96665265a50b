"""The smallest honest destination: nginx, which reads each request to its end and says yes. One process, no log."""

import pathlib
import subprocess
import time
import urllib.request

CONF = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /hook {{ default_type application/json; return 200 '{{"success":true}}'; }}
    location /count {{ stub_status; }}
  }}
}}
"""


class Server:
    def __init__(self, folder: pathlib.Path, port: int, workers: int):
        folder.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{port}"
        conf = folder / "nginx.conf"
        conf.write_text(CONF.format(folder=folder, port=port, workers=workers))
        self.process = subprocess.Popen(["nginx", "-p", folder, "-c", conf])
        for _ in range(100):
            try:
                self.requests()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"nginx ended: {(folder / 'error.log').read_text()}")
                time.sleep(0.05)
        raise SystemExit("nginx does not answer")

    def requests(self):
        """How many it has answered."""
        with urllib.request.urlopen(f"{self.url}/count") as answer:
            return int(answer.read().split()[9])

    def stop(self):
        self.process.terminate()
        self.process.wait()
