"""Submits a sentence and follows the run to its end, with httpx and nothing of this project.

    LIFEOS_TOKEN=… python examples/follow.py "plan groceries for 3 people"

A subscription is one request whose answer is a stream of server-sent events. One that breaks is asked for again from
the last event's cursor.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

URL = os.environ.get("LIFEOS_URL", "http://127.0.0.1:8000") + "/graphql"
MOST_TRIES = 60

SUBMIT = """
mutation Submit($input: SubmitWorkflowInput!) {
  submitWorkflow(input: $input) { run { id } errors { code message } }
}
"""
TIMELINE = """
subscription Timeline($runId: ID!, $after: String) {
  timeline(runId: $runId, after: $after) { cursor seq type message approvalId }
}
"""


class Refused(Exception):
    """What asking again won't change."""


def submit(http: httpx.Client, intent: str) -> str:
    """The id of the new run."""
    answer = http.post(URL, json={"query": SUBMIT, "variables": {"input": {"intent": intent}}}).json()
    payload = data_of(answer)["submitWorkflow"]
    if payload["errors"]:
        raise Refused("; ".join(error["message"] for error in payload["errors"]))
    return payload["run"]["id"]


def follow(http: httpx.Client, run_id: str) -> Iterator[dict[str, Any]]:
    """Each event of the run once, in order, until it has ended."""
    after: str | None = None
    tries = 0
    while (tries := tries + 1) <= MOST_TRIES:
        try:
            for event in stream(http, TIMELINE, {"runId": run_id, "after": after}):
                if event is None:
                    return
                after = event["timeline"]["cursor"]
                tries = 0
                yield event["timeline"]
        except httpx.TransportError as error:
            print(f"… connecting again ({error})", file=sys.stderr)
        time.sleep(1)
    raise Refused(f"no answer from {URL}")


def stream(http: httpx.Client, query: str, variables: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
    """The data of each result; None after the last one. A stream that ends without it was cut off."""
    body = {"query": query, "variables": variables}
    # Comments come every few seconds, so a silent connection is a dead one.
    with http.stream("POST", URL, json=body, headers={"Accept": "text/event-stream"}, timeout=60) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            yield data_of(json.loads(answer.read()))
        for line in answer.iter_lines():
            if line == "event: complete":
                yield None
            elif line.startswith("data: {"):
                yield data_of(json.loads(line.removeprefix("data: ")))


def data_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The data, if there are no errors."""
    for error in answer.get("errors", []):
        if error["extensions"]["code"] == "UNAVAILABLE":
            raise httpx.RemoteProtocolError(error["message"])
        raise Refused(error["message"])
    return answer["data"]


def main(intent: str) -> None:
    """Submit the intent and print what happens."""
    headers = {"Authorization": f"Bearer {os.environ['LIFEOS_TOKEN']}"}
    with httpx.Client(headers=headers, timeout=30) as http:
        for event in follow(http, submit(http, intent)):
            print(event["seq"], event["type"], event["message"], flush=True)
            if event["type"] == "APPROVAL_REQUIRED":
                print(f"  decide it: lifeos decide {event['approvalId']} approve", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Refused, httpx.HTTPError) as error:
        sys.exit(str(error))
