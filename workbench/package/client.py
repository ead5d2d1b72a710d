"""Ask a server of the open inference protocol (V2) for an answer: python client.py [URL] [--token TOKEN]

Needs nothing but Python. Prints the outputs for example.json, and the most probable label where the model has labels.
"""

import argparse
import json
import pathlib
import sys
import urllib.error
import urllib.request

here = pathlib.Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default="MODEL")
    parser.add_argument("--token", default="", help="API key of the server")
    parser.add_argument("--request", default=str(here / "example.json"))
    asked = parser.parse_args()
    request = urllib.request.Request(
        f"{asked.url}/v2/models/{asked.model}/infer",
        pathlib.Path(asked.request).read_bytes(),
        {"Content-Type": "application/json", **({"Authorization": f"Bearer {asked.token}"} if asked.token else {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"{asked.url} does not answer: {error.reason}", file=sys.stderr)
        return 1
    labels = json.loads((here / "artifact" / "card.json").read_text()).get("labels", [])
    for output in answer["outputs"]:
        print(output["name"], output["shape"], output["data"][:10])
        if labels and output["shape"][-1] == len(labels):
            best = max(range(len(labels)), key=output["data"].__getitem__)
            print(f"most probable: {labels[best]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
