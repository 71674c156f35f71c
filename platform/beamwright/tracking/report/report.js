"use strict";
const isTouched = matchMedia("(pointer: coarse)").matches;
const plots = [...document.querySelectorAll(".plot")];

function theme() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  const changes = {"font.color": ink, "hoverlabel.bgcolor": style.getPropertyValue("--card").trim(),
                   "hoverlabel.bordercolor": line, "hoverlabel.font.color": ink};
  for (const axis of ["xaxis", "yaxis"]) {
    changes[axis + ".gridcolor"] = line;
    changes[axis + ".linecolor"] = line;
    changes[axis + ".tickcolor"] = line;
  }
  return changes;
}

// Labels inside a plot lie on the page's colour, so that lines do not cross them out.
function restyle(plot) {
  const paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
  const labels = (plot.layout.annotations ?? []).map((_, index) => [`annotations[${index}].bgcolor`, paper]);
  return Plotly.relayout(plot, {...theme(), ...Object.fromEntries(labels)});
}

// In a crowd of lines, the one under the pointer stands out.
function highlight(plot) {
  if (!plot.hasAttribute("data-crowd")) return;
  const opacity = plot.data.map(trace => trace.opacity ?? 1);
  plot.on("plotly_hover", event =>
    Plotly.restyle(plot, {opacity: plot.data.map((_, index) => index === event.points[0].curveNumber ? 1 : 0.12)}));
  plot.on("plotly_unhover", () => Plotly.restyle(plot, {opacity}));
}

const repaint = () => plots.forEach(restyle);

for (const plot of plots) {
  const figure = JSON.parse(plot.querySelector("script").textContent);
  plot.replaceChildren();
  if (isTouched) figure.layout.dragmode = false;  // a finger scrolls the page
  Plotly.newPlot(plot, figure.data, figure.layout, {responsive: true, displayModeBar: false})
    .then(() => restyle(plot)).then(() => highlight(plot));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
matchMedia("print").addEventListener("change", repaint);
