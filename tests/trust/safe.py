"""Can anything be run, written or reached that should not be?  python3 run.py trust safe [--strict] [--write]

Runs tests/test_safe.py; starts JupyterLab as `run.py lab` does and asks it without its token; and asks PyPI's and OSV's databases for
known vulnerabilities of what the lock names. Where neither can be reached, it says so; with --strict, that fails, too. With --write
what was found goes into tests/README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from helpers.recipes.marks import write_between

ROOT = Path(__file__).resolve().parents[2]
LAB = "import sys, run; run.prepare, run.PYTHON = lambda: None, sys.executable; sys.exit(run.main('lab', *sys.argv[1:]))"
INSIDE = [("GET", "/lab"), ("GET", "/api/contents"), ("GET", "/api/kernels"), ("POST", "/api/kernels"), ("GET", "/api/terminals"),
          ("GET", "/files/run.py")]


def tests():
    """Whether tests/test_safe.py passes, and its last line."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-n0", "tests/test_safe.py"], cwd=ROOT, capture_output=True, text=True)
    return done.returncode == 0, done.stdout.strip().splitlines()[-1].split(" in ")[0]


def ask(url, method="GET", **headers):
    """What a server answers: the status, and where it leads."""
    try:
        with urlopen(Request(url, method=method, headers=headers, data=b"{}" if method == "POST" else None), timeout=30) as answer:
            return answer.status, answer.url
    except HTTPError as error:
        return error.code, url


def guarded():
    """Of what lies inside JupyterLab, what each asker gets: {who asks: answers}."""
    with tempfile.TemporaryDirectory() as folder:
        places = {name: folder for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
        command = [sys.executable, "-c", LAB, "--no-browser", "--port=0", *["--allow-root"] * (hasattr(os, "getuid") and os.getuid() == 0)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen(command, cwd=ROOT, env=os.environ | places | {"PYTHONPATH": str(ROOT)}, **quiet)
        try:
            end = time.monotonic() + 120
            while not (files := list(Path(folder).glob("jpserver-*.json"))) or not files[0].read_text():
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("JupyterLab did not start.")
                time.sleep(0.2)
            about = json.loads(files[0].read_text())
            url, token = about["url"].rstrip("/"), {"Authorization": f"token {about['token']}"}
            return about["hostname"], {
                "without the token": [ask(url + path, method) for method, path in INSIDE],
                "with another token": [ask(url + path, method, Authorization="token 0") for method, path in INSIDE],
                "with the token, by another name": [ask(f"{url}/api/contents", Host="example.org", **token)],
                "with the token": [ask(url + path, method, **token) for method, path in INSIDE[:2]],
            }
        finally:
            server.terminate()
            server.wait()


def refused(answers):
    return all(status in (403, 404, 405) or "/login" in url for status, url in answers)


def audited():
    """Known vulnerabilities of what the lock names, by the first database that answers -> (its name, how many packages it knew, found)."""
    for service in ("pypi", "osv"):
        command = ["-m", "pip_audit", "-r", "requirements.txt", "--no-deps", "--disable-pip", "--format=json", "-s", service]
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
        try:
            given = json.loads(done.stdout)["dependencies"]
        except ValueError:
            continue
        packages = [each for each in given if "vulns" in each]      # the others were skipped
        if packages:
            found = [f"{p['name']} {p['version']}: {v['id']}" for p in packages for v in p["vulns"]]
            return service, f"{len(packages)} of {len(given)}", found
    return None, 0, []


def main():
    parser = argparse.ArgumentParser(prog="run.py trust safe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true", help="fail where no database can be reached")
    parser.add_argument("--write", action="store_true", help="write what was found into tests/README.md")
    args = parser.parse_args()
    passed, line = tests()
    host, answers = guarded()
    open_door = [who for who, given in answers.items() if refused(given) == (who == "with the token")]
    service, asked, found = audited()
    lab = f"It listens on {host}. Asked for {len(INSIDE)} things inside, it refuses all of them without its token and with another one, " \
          "and refuses even the right one in a request for another host's name."
    rows = {
        "the tests in [test_safe.py](test_safe.py)": line,
        "JupyterLab, as `run.py lab` starts it": f"**open: {', '.join(open_door)}**" if open_door else lab,
        "known vulnerabilities of what the lock names": f"pip-audit {version('pip-audit')}: " + (
            f"{len(found)} in {asked} packages ({service}). {'; '.join(found)}" if service else
            "**not checked: no database could be reached from this machine.** `.github/workflows/trust.yml` asks every week."),
    }
    text = "\n".join(["| what | found |", "|---|---|", *(f"| {what} | {says} |" for what, says in rows.items())])
    print(text)
    if args.write:
        write_between(ROOT / "tests/README.md", "safe", text)
    return int(not passed or bool(open_door) or bool(found) or args.strict and not service)


if __name__ == "__main__":
    sys.exit(main())
