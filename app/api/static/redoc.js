Redoc.init("/openapi.json", { disableSearch: false, hideDownloadButton: false, expandResponses: "200" }, document.getElementById("redoc"));
