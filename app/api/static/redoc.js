const FIRST = ["access", "records", "queries", "jobs", "catalogue", "connectors", "governance", "people", "audit", "log", "operation"];
const rank = (tag) => (FIRST.indexOf(tag) + FIRST.length + 1) % (FIRST.length + 1); // those that are not listed stand last
const settings = {
  disableSearch: false, hideDownloadButton: false, expandResponses: "200", hideSchemaTitles: true, labels: window.redocLabels ?? {},
};
fetch(`/openapi.json?lang=${document.documentElement.lang}`)
  .then((answer) => answer.json())
  .then((specification) => {
    specification.tags.sort((one, other) => rank(one.name) - rank(other.name));
    Redoc.init(specification, settings, document.getElementById("redoc"));
  });
