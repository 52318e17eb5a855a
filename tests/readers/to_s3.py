"""Export a run to an S3 server, break it off on the way, continue it, and return the hashes of what is there."""

import hashlib
import json
import os
import subprocess
import sys
import time

import boto3
from moto.server import ThreadedMotoServer

run, python = sys.argv[1:]
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
os.environ |= {
    "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
client = boto3.client("s3")
client.create_bucket(Bucket="clips")


def names():
    return [each["Key"] for each in client.list_objects_v2(Bucket="clips").get("Contents", [])]


# clipfarm's own environment, and behind it this one's s3fs, as a user would have installed it there.
program = f"import sys; sys.path += {sys.path!r}; from clipfarm_export.cli import main; main()"
command = [python, "-c", program, run, "s3://clips/pushed", "--format", "hf", "--previews", "2"]
command += ["--name", "Pushed squares", "--license", "cc-by-4.0"]
begun = subprocess.Popen(command, stderr=subprocess.DEVNULL)
while begun.poll() is None and "pushed/.clipfarm-export/parts/data-A1-00000.json" not in names():
    time.sleep(0.1)  # between two looks
begun.kill()
begun.wait()
done = subprocess.run(command, capture_output=True, text=True)
missing = subprocess.run([*command[:4], "s3://nowhere/pushed", *command[5:]], capture_output=True, text=True)
found = {
    key.removeprefix("pushed/"): hashlib.sha256(client.get_object(Bucket="clips", Key=key)["Body"].read()).hexdigest()
    for key in names()
}
server.stop()
print(
    json.dumps({"code": done.returncode, "said": done.stdout + done.stderr, "files": found, "missing": missing.stderr})
)
