// Redoc on the gateway's own document. The fonts are the reader's own: nothing is fetched from elsewhere.
const fonts = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
Redoc.init(
  "/openapi.json",
  {
    expandResponses: "200",
    jsonSampleExpandLevel: 3,
    requiredPropsFirst: true,
    sortEnumValuesAlphabetically: false,
    theme: {
      typography: { fontFamily: fonts, headings: { fontFamily: fonts } },
    },
  },
  document.getElementById("page"),
);
