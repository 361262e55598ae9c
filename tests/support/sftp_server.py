"""An SFTP server on loopback (asyncssh) in a thread of its own: one folder, one user, a password or a key."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import asyncssh

USER = "simpul"


class SftpServer:
    """Serves `folder`. `host_keys`: what it proves itself with; `allowed`: the public key that lets the user in."""

    def __init__(self, folder: Path, password: str, *, host_keys: list[Any] | None = None) -> None:
        self.folder = folder
        self.logins = 0
        self.host_keys = host_keys or [asyncssh.generate_private_key("ssh-ed25519")]
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._password = password
        self._loop = asyncio.new_event_loop()
        self._connections: list[asyncssh.SSHServerConnection] = []
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(20)

    @property
    def fingerprint(self) -> str:
        """Of the first of its keys."""
        return str(self.host_keys[0].get_fingerprint())

    @property
    def line(self) -> str:
        """The first of its keys as its public line."""
        return self.host_keys[0].export_public_key().decode().strip()

    def close(self) -> None:
        """Stops serving."""

        async def stop() -> None:
            self._server.close()
            await self._server.wait_closed()
            for connection in self._connections:
                connection.abort()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:  # of clients that are still there
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await asyncio.sleep(0.05)  # for what closes sockets

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        outer = self

        class Login(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                outer._connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return username == USER and password == outer._password

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: Any) -> bool:
                return username == USER and key == outer.client_key.convert_to_public()

            def auth_completed(self) -> None:
                outer.logins += 1

        async def start() -> None:
            self._server = await asyncssh.listen(
                "127.0.0.1",
                0,
                server_factory=Login,
                server_host_keys=self.host_keys,
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(outer.folder)),
            )
            self.port = self._server.get_port()

        self._loop.run_until_complete(start())
        ready.set()
        self._loop.run_forever()
        self._loop.close()
