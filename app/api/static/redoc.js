const FIRST = ["access", "records", "queries", "jobs", "catalogue", "connectors", "governance", "audit", "log", "operation"];
const settings = {
  disableSearch: false, hideDownloadButton: false, expandResponses: "200", hideSchemaTitles: true, labels: window.redocLabels ?? {},
};
fetch(`/openapi.json?lang=${document.documentElement.lang}`)
  .then((answer) => answer.json())
  .then((specification) => {
    specification.tags.sort((one, other) => FIRST.indexOf(one.name) - FIRST.indexOf(other.name));
    Redoc.init(specification, settings, document.getElementById("redoc"));
  });
