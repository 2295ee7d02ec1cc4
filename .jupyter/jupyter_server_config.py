"""Configure the Jupyter server that `python3 run.py lab` starts."""

import os

c = get_config()  # noqa: F821 (Jupyter provides it)
# A photograph is uploaded to a widget in one message; Tornado's limit is 10 MB.
c.ServerApp.tornado_settings = {"websocket_max_message_size": 100_000_000}

if "CODESPACE_NAME" in os.environ:  # there the browser's address is that of the forwarded port
    domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
    c.ServerApp.allow_origin = f"https://{os.environ['CODESPACE_NAME']}-8888.{domain}"
    c.ServerApp.allow_root = True  # the container holds nothing but the course
