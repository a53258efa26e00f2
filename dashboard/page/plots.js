// The charts, by Vega-Lite.

const dark = () => document.documentElement.dataset.theme === "dark";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function config() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent", font, view: { stroke: null },
    axis: { labelColor: of("--soft"), titleColor: of("--soft"), gridColor: of("--line"),
      domainColor: of("--line"), tickColor: of("--line"), labelFontSize: 11, titleFontSize: 11,
      titleFontWeight: "normal", labelFont: font, titleFont: font },
    // Over a year, lines of the usual width would hide each other.
    line: { strokeWidth: choice.to - choice.from > 120 ? 1 : 2 },
    text: { color: of("--ink"), font, fontSize: 11 },
    scale: { bandPaddingInner: 0.12 },
  };
}

// Lists with one word that begins with $ are the page's to fill.
function fill(spec, words) {
  if (Array.isArray(spec)) {
    if (spec.length === 1 && typeof spec[0] === "string" && spec[0] in words) return words[spec[0]];
    return spec.map((item) => fill(item, words));
  }
  if (spec === null || typeof spec !== "object") return spec;
  return Object.fromEntries(Object.entries(spec).map(([name, item]) => [name, fill(item, words)]));
}

async function plot(panel, found, place) {
  const shades = found.legend ?? found.colours ?? new Map();
  // On a narrow screen names must leave room for the marks.
  const narrow = place.clientWidth < 480;
  const crowded = panel.kind === "heatmap" && isCrowded(found.across, place.clientWidth - (narrow ? 120 : 160));
  const spec = fill(charts[panel.id], {
    $ticks: ticks(found, place.clientWidth), $extent: [0, (narrow ? 1.35 : 1.2) * found.largest || 1],
    $coloured: [...shades.keys()], $colours: [...shades.values()],
    $across: found.across ?? [], $down: found.down ?? [], $scale: scales[dark() ? "dark" : "light"],
  });
  // Columns without width at the ends: all charts of a sheet reach over the same dates.
  const ends = found.hover ? timeSpan(found).map((x) => ({ x0: x, x1: x, tip: "" })) : [];
  spec.datasets = { rows: found.marks, hover: [...ends, ...(found.hover ?? [])] };
  if (panel.kind === "bar") spec.height = 24 * found.marks.length + 12;
  if (panel.kind === "heatmap") spec.height = 26 * found.down.length + 48;
  const fitting = JSON.parse(JSON.stringify(spec), (name, value) => {
    if (name === "labelLimit" && narrow) return 125;
    if (name === "labelExpr") return value.replaceAll("$letters", narrow ? "17" : "34");
    return name === "labelAngle" && crowded ? -40 : value;
  });
  const made = await vegaEmbed(place, fitting, {
    mode: "vega-lite", renderer: "svg", actions: false, config: config(),
    tooltip: { theme: dark() ? "dark" : "light" },
  });
  views.set(panel.id, made);
}

const isCrowded = (names, width) =>
  Math.max(...names.map((name) => name.length)) * 7 > width / names.length && names.some((n) => n.length > 3);

// The days chosen as far as there are any, the same for all charts of a sheet.
function timeSpan(found) {
  const [from, to] = [Math.max(choice.from, span[0]) * DAY, (Math.min(choice.to, span[1]) + 1) * DAY];
  return found.step === DAY ? [from - DAY / 2, to - DAY / 2] : [from, to];
}

// Round times, at least a step apart, and no more than have room.
function ticks(found, width) {
  if (!found.hover) return [];
  const [from, to] = timeSpan(found);
  const room = Math.max(3, width / 75);
  const step = [6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY]
    .filter((size) => size >= found.step).find((size) => (to - from) / size <= room) ?? 180 * DAY;
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) marks.push(at);
  return marks;
}

function legend(panel, found) {
  if (panel.kind === "heatmap") {
    const ramp = scales[dark() ? "dark" : "light"].join(", ");
    return element("ul", { class: "legend" }, element("li", {}, "0",
      element("i", { class: "ramp", style: `background: linear-gradient(to right, ${ramp})` }),
      `${written(panel.measures[0].unit, found.most)} ${panel.measures[0].label.toLowerCase()}`));
  }
  if (!found.legend || (found.legend.size < 2 && !panel.series)) return "";
  return element("ul", { class: "legend" }, ...[...found.legend].map(([name, colour]) =>
    element("li", {}, element("i", { style: `background: ${colour}` }), element("span", { title: name }, name))));
}
