"""The configuration that `simpul agent init` writes."""

from __future__ import annotations

from typing import Final

SAMPLE: Final = """# What this machine sends to the gateway, and when. Try it with: simpul agent check
# Relative paths are those of the folder of this file. No secret stands here.

[gateway]
url = "https://simpul.example.go.id"
agency = "dinkes"                      # the agency whose inbox is filled
client_id = "dinkes-agen"              # a client of this agency with the role steward
secret_file = "rahasia.txt"            # its secret, and nothing else; chmod 600
# secret_env = "SIMPUL_AGENT_SECRET"   # instead of secret_file: a variable of the environment
# ca_file = "ca.pem"                   # authority of the gateway's certificate, where the system does not know it
# proxy = "http://proxy.kantor:3128"   # the way out of the office; proxies of the environment do not count

[agent]
# state = "simpul-agent.state"         # folder in which the agent remembers what it sent
# timezone = "Asia/Jakarta"            # of all times of day below
# piece = "4MiB"                       # files above this go in parts of this size: 64KiB to 64MiB

# One table for each file or query. Files are sent when they changed, and not otherwise.
[[schedule]]
name = "puskesmas"
file = "puskesmas.csv"                 # or a pattern: "harga-*.xlsx"
# pick = "newest"                      # of a pattern: "newest" or "all" (then write {name} in to)
# settle = "5s"                        # wait until nobody wrote to it for so long
# allow_empty = false                  # an empty file is not sent
to = "puskesmas.csv"                   # path in the inbox; a manifest names it as inbox/puskesmas.csv
every = "15m"                          # s, m, h or d

# [[schedule]]
# name = "harga"
# database = "postgresql://pembaca@10.0.0.5/pasar"    # or mysql://USER@HOST/NAME, sqlite:///FILE
# password_file = "sandi-pasar.txt"                   # or password_env
# query = "SELECT tanggal, komoditas, harga FROM harga_harian"
# format = "csv"                                      # or "ndjson"
# timeout = "10m"
# to = "harga.csv"
# at = "06:00"                                        # or several: ["06:00", "18:00"]
# on = ["monday", "friday"]                           # weekly; or day = 1, day = "last": monthly; neither: daily
"""
