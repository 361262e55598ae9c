// Calls of the tour with the types that openapi-typescript makes: one JSON line a call.
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./simpul.js";

type Media = "application/json" | "application/problem+json";
type Job = components["schemas"]["JobAnswer"];
type Page = components["schemas"]["FasilitasKesehatanPage"];

const URL = setting("SIMPUL_URL");
const RECORDS = "/v1/records/fasilitas-kesehatan";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function tell(call: string, got: unknown): void {
  console.log(JSON.stringify([call, got]));
}

function only<Found>(answer: { data?: Found; error?: unknown }): Found {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

// Not the job that a call with "Prefer: respond-async" starts.
function now<Found extends object>(answer: { data?: Found; error?: unknown }): Exclude<Found, Job> {
  const found = only(answer);
  if ("op" in found) throw new Error("the call became a job");
  return found as Exclude<Found, Job>;
}

async function signedIn(name: string): Promise<[Client<paths, Media>, components["schemas"]["TokenAnswer"]]> {
  const asked = await createClient<paths>({ baseUrl: URL }).POST("/oauth/token", {
    body: {
      grant_type: "client_credentials",
      client_id: setting(`SIMPUL_${name}`),
      client_secret: setting(`SIMPUL_${name}_SECRET`),
    },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  const token = only(asked);
  return [createClient<paths, Media>({ baseUrl: URL, headers: { Authorization: `Bearer ${token.access_token}` } }), token];
}

function keys(page: Page): string[] {
  return page.items.map((record) => record._source!.id);
}

async function main(): Promise<void> {
  const [portal, token] = await signedIn("CLIENT");
  tell("token", [token.token_type, token.expires_in]);

  const schemas = only(await portal.GET("/v1/schemas"));
  tell("schemas", schemas.items.map((item) => [item.name, item.version]));

  const listed = await portal.GET(RECORDS, { params: { query: { filter: "kode_wilayah='33.20.10'", sort: "nama" } } });
  const page = now(listed);
  tell("list", [keys(page), page.complete, page.next_cursor, page.sources.map((source) => source.status)]);

  const asked = { filter: { op: "=", args: [{ property: "rawat_inap" }, true] }, sort: ["nama"], limit: 5 };
  tell("search", keys(now(await portal.POST(`${RECORDS}/search`, { body: asked }))));

  const one = now(await portal.GET(`${RECORDS}/{key}`, { params: { path: { key: keys(page)[0]! } } })).items[0];
  tell("lookup", [one?.nama, one?._source?.agency]);

  const groups = only(
    await portal.POST(`${RECORDS}/aggregate`, {
      body: { aggregates: [{ function: "count", as: "n" }], group_by: ["jenis"] },
    }),
  );
  tell("aggregate", groups.items.map((group) => [String(group["jenis"]), group["n"]] as const).sort());

  const sql = "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis";
  const rows = now(await portal.POST("/v1/queries", { body: { sql } }));
  tell("sql", [rows.columns.map((column) => column.name), rows.items.map((row) => [row["jenis"], row["n"]])]);

  const question = { schema: "fasilitas_kesehatan", filter: "kode_wilayah = '33.20.10'" };
  const plan = only(await portal.POST("/v1/explain", { body: question }));
  tell("explain", plan.sources.map((source) => [source.agency, source.dataset, source.pushed] as const).sort());

  const refused = await portal.GET(RECORDS, { params: { query: { filter: "tidak_ada = 1" } } });
  const problem: components["schemas"]["Problem"] | undefined = refused.error;
  tell("problem", [
    problem?.status,
    problem?.code,
    (problem?.errors ?? []).map((place) => [place.code, place.detail]),
  ]);

  const [auditor] = await signedIn("AUDITOR");
  const name = listed.response.headers.get("Exchange-Id")!;
  const path = { exchange_id: name };
  const exchange = only(await auditor.GET("/v1/exchanges/{exchange_id}", { params: { path } }));
  const kinds = exchange.entries.map((entry) => [entry.kind, entry.index]);
  tell("exchange", [exchange.exchange_id, kinds, exchange.proof.checkpoint.slice(0, 20)]);
}

await main();
