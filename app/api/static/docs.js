// The document as it is, but optional parameters are not filled in beforehand: what stands in a form is sent.
const FIRST = ["access", "records", "queries", "jobs", "catalogue", "connectors", "governance", "people", "audit", "log", "operation"];
const rank = (tag) => (FIRST.indexOf(tag) + FIRST.length + 1) % (FIRST.length + 1); // those that are not listed stand last
const ACTS = ["", "/search", "/{key}", "/aggregate", "/match", "/changes", "/conflicts", "/verify"];
const FILLED = ["limit"];
const language = document.documentElement.lang;
const EXAMPLE = language === "id" ? "Contoh" : "Example";

function place(operation) {
  const path = operation.get("path");
  const records = path.match(/^\/v1\/records\/([^/]+)(.*)$/);
  if (records) return records[1] + String(ACTS.indexOf(records[2])).padStart(2, "0");
  const first = path === "/oauth/token" ? "  " : path.startsWith("/oauth/") ? " " : "";
  return first + path + operation.get("method");
}

function unfilled(specification) {
  const own = Object.values(specification.paths).flatMap((item) => Object.values(item).flatMap((operation) => operation.parameters ?? []));
  for (const parameter of [...own, ...Object.values(specification.components.parameters)]) {
    if (parameter.required || FILLED.includes(parameter.name) || parameter.example === undefined) continue;
    parameter.description = `${parameter.description ?? ""} (${EXAMPLE}: \`${parameter.example}\`)`;
    delete parameter.example;
    delete parameter.schema.default;
  }
  return specification;
}

fetch(`/openapi.json?lang=${language}`)
  .then((answer) => answer.json())
  .then((specification) => {
    window.ui = SwaggerUIBundle({
      spec: unfilled(specification),
      dom_id: "#swagger-ui",
      deepLinking: true,
      docExpansion: "none",
      defaultModelsExpandDepth: -1,
      displayRequestDuration: true,
      filter: true,
      persistAuthorization: true,
      validatorUrl: null,
      tagsSorter: (one, other) => rank(one) - rank(other),
      operationsSorter: (one, other) => (place(one) < place(other) ? -1 : 1),
      presets: [SwaggerUIBundle.presets.apis],
      layout: "BaseLayout",
    });
  });
