"""Enlargements as the page asks its server for them."""

import time

NETWORK = "tiny.safetensors"


def order(client, **fields):
    """Ask for an enlargement of all pictures."""
    numbers = [picture["id"] for picture in client.get("/api/state").json()["pictures"]]
    output = {"format": "png", "metadata": "keep"} | fields.pop("output", {})
    common = {"pictures": numbers, "target": {"scale": [2.37, 2.37]}, "model": NETWORK}
    return client.post("/api/enlargements", json=common | {"output": output} | fields)


def state(client, number):
    (found,) = [
        each for each in client.get("/api/state").json()["enlargements"] if each["id"] == number
    ]
    return found


def finished(client, number):
    """What became of it."""
    until = time.monotonic() + 30
    while (found := state(client, number))["running"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def download(client, number, **fields):
    ticket = client.post("/api/tickets", json={"enlargement": number} | fields).json()
    answer = client.get(ticket["url"], headers={"X-Token": ""})
    assert answer.status_code == 200
    return answer
