"""The peer of P1: FastAPI, asyncpg and Pydantic, without token, agreement, log or federation."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


class Facility(BaseModel):
    """A row."""

    kode: str
    nama: str
    jenis: str | None
    kelas: str | None
    alamat: str | None
    lat: float | None
    lng: float | None
    status: str | None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The pool."""
    async with asyncpg.create_pool(sys.argv[1], min_size=8, max_size=16) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/records/{key}")
async def lookup(key: str) -> Facility:
    """One row by key."""
    row = await app.state.pool.fetchrow("SELECT * FROM faskes WHERE kode = $1", key)
    if row is None:
        raise HTTPException(404)
    return Facility.model_validate(dict(row))


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
