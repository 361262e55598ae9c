"""An S3-compatible store on loopback (moto) that holds requests to their signatures, as a real one does."""

from __future__ import annotations

import json
import urllib.request
from secrets import token_hex
from typing import Any

import botocore.session
from botocore.config import Config
from moto.server import ThreadedMotoServer

REGION = "ap-southeast-3"
_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class ObjectStoreServer:
    """One bucket that keeps versions. `keys`: of a user who may read it; `powerless`: of one who may nothing."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.url = "http://{}:{}".format(*self._server.get_host_and_port())
        self.bucket = f"dinas-{token_hex(6)}"  # the store of one process is one, whatever port it is asked at
        self._ask("reset-auth", b"inf")
        users = self._client("iam", "us-east-1")
        self.keys = _user(users, f"simpul-{self.bucket}", _ALL)
        self.powerless = _user(users, f"tamu-{self.bucket}", None)
        self._s3 = self._client("s3", REGION)
        self._s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self._ask("reset-auth", b"0")
        self._s3 = self._client("s3", REGION, *self.keys)

    def put(self, key: str, content: bytes) -> None:
        """Lays an object."""
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Takes an object away."""
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def listing(self) -> list[tuple[str, str]]:
        """Keys with their ETags."""
        return [(one["Key"], one["ETag"]) for one in self._s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def close(self) -> None:
        """Stops serving."""
        self._server.stop()

    def _client(self, service: str, region: str, *keys: str) -> Any:
        access, secret = keys or ("setup", "setup")
        return botocore.session.get_session().create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def _ask(self, what: str, body: bytes) -> None:
        asked = urllib.request.Request(f"{self.url}/moto-api/{what}", body, {"Content-Type": "text/plain"})
        urllib.request.urlopen(asked).close()


def _user(users: Any, name: str, policy: dict[str, Any] | None) -> tuple[str, str]:
    users.create_user(UserName=name)
    if policy is not None:
        users.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    made = users.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]
