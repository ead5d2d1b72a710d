// Puts plotly.js on the page, once per version. The source comes as a trait: anywidget gives a module two seconds to
// start, and five megabytes of it would sometimes take longer.

// A script element rather than eval: the browser compiles it off the main thread. `define` and `module` are hidden,
// because where require.js is on the page plotly would register there instead.
async function run(source) {
  const wrapped = ["(function (define, module, exports) {", source, "\n}).call(globalThis);"];
  const address = URL.createObjectURL(new Blob(wrapped, { type: "text/javascript" }));
  const script = document.createElement("script");
  const others = globalThis.Plotly;
  try {
    await new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error("the browser refused the script"));
      script.src = address;
      document.head.append(script);
    });
    if (!globalThis.Plotly || globalThis.Plotly === others) throw new Error("the script ended without a result");
    return globalThis.Plotly;
  } finally {
    if (others) globalThis.Plotly = others;
    script.remove();
    URL.revokeObjectURL(address);
  }
}

function initialize({ model }) {
  const entry = plotlyOf(model.get("version"));
  if (entry.begun) return;
  entry.begun = true;
  unpacked(model.get("source"))
    .then(run)
    .then(entry.resolve)
    .catch((error) => Object.assign(entry, { begun: false, error: error.message })); // the next loader tries again
}

export default { initialize };
