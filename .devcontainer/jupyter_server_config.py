"""JupyterLab in a GitHub Codespace: the browser's address is the forwarded port's, which the server takes for a stranger's unless told."""

import os

c = get_config()  # noqa: F821 (Jupyter gives it)
if "CODESPACE_NAME" in os.environ:
    domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
    c.ServerApp.allow_origin = f"https://{os.environ['CODESPACE_NAME']}-8888.{domain}"
    c.ServerApp.allow_root = True       # the image has no other user, and the container holds nothing but the course
