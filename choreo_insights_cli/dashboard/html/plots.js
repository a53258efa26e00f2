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

function config(small) {
  // The page's own colours, so that they change where it is printed.
  const of = (name) => `var(--${name})`;
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent", font, view: { stroke: null },
    axis: { labelColor: of("soft"), titleColor: of("soft"), gridColor: of("line"),
      domainColor: of("line"), tickColor: of("line"), labelFontSize: 11, titleFontSize: 11,
      titleFontWeight: "normal", labelFont: font, titleFont: font },
    // Over a year, lines of the usual width would hide each other.
    line: { strokeWidth: choice.to - choice.from > 120 ? 1 : 2 },
    text: { color: of("ink"), font, fontSize: 11 },
    scale: { bandPaddingInner: 0.12 },
    ...small,
  };
}

// Lists with one word that begins with $ are the page's to fill.
function fill(spec, words) {
  if (Array.isArray(spec)) {
    if (spec.length === 1 && typeof spec[0] === "string" && Object.hasOwn(words, spec[0])) return words[spec[0]];
    return spec.map((item) => fill(item, words));
  }
  if (spec === null || typeof spec !== "object") return spec;
  return Object.fromEntries(Object.entries(spec).map(([name, item]) => [name, fill(item, words)]));
}

// On a narrow screen names stand above their bars.
const ABOVE = {
  axisYBand: { labelAlign: "left", labelPadding: 0, labelOffset: -14 }, bar: { discreteBandSize: 12 },
};

// The width has room for names beside marks, or for them side by side; how high it all has to be.
function layout(panel, found, width) {
  const narrow = width < 480;
  switch (panel.kind) {
    case "bar": {
      const [least, most] = narrow ? [34, 34] : [24, 36];
      return { narrow, least: least * found.marks.length + 12, most: most * found.marks.length + 12 };
    }
    case "heatmap": {
      const room = (width - (narrow ? 120 : 160)) / found.across.length;
      const longest = Math.max(...found.across.map((name) => name.length));
      const angle = longest < 4 || longest * 7 <= room ? 0 : room < 18 ? -90 : -40;
      const below = angle ? Math.min(longest * 6, 115) * Math.sin(-angle * Math.PI / 180) : 0;
      const [least, most] = [26, 36].map((row) => row * found.down.length + 48 + below);
      return { narrow, angle, least, most };
    }
    default: return { narrow, least: charts[panel.id].height, most: Infinity };
  }
}

async function plot(panel, found, place, { narrow, angle, most }) {
  const shades = found.shades ?? [], numbers = (of) => of.map((_, n) => String(n));
  const above = narrow && panel.kind === "bar";
  const spec = fill(charts[panel.id], {
    $ticks: ticks(found, place.clientWidth), $extent: [0, (narrow ? 1.35 : 1.2) * found.largest || 1],
    $coloured: numbers(shades), $colours: shades,
    $across: numbers(found.across ?? []), $down: numbers(found.down ?? []), $scale: scales[dark() ? "dark" : "light"],
  });
  // Columns without width at the ends: all charts of a sheet reach over the same dates.
  const ends = found.hover ? timeSpan(found).map((x) => ({ x0: x, x1: x, tip: "" })) : [];
  spec.datasets = { rows: found.marks, hover: [...ends, ...(found.hover ?? [])] };
  spec.height = Math.min(place.clientHeight, most);
  const fitting = JSON.parse(JSON.stringify(spec), (name, value) => {
    if (name === "labelLimit" && narrow) return above ? place.clientWidth : 125;
    if (name === "labelExpr") {
      return value.replaceAll("$letters", above ? "50" : narrow ? "17" : "34")
        .replaceAll(/\$(names|across)/g, (_, words) => list(found[words]));
    }
    return name === "labelAngle" && angle ? angle : value;
  });
  const made = await vegaEmbed(place, fitting, {
    mode: "vega-lite", renderer: "svg", actions: false, config: config(above ? ABOVE : {}),
    tooltip: { theme: dark() ? "dark" : "light", formatTooltip: tooltip },
    // Expressions are interpreted: no policy for the page need allow `eval`.
    ast: true,
  });
  views.set(panel.id, made);
  if (!place.querySelector(".role-mark path")) throw new Error("no mark was drawn");
}

// Names as a list in Vega's expressions, each behind a letter that these take off again: Vega's
// compiler looks texts up in objects too.
const list = (names) =>
  JSON.stringify((names ?? []).map((name) => `-${name}`)).replace(/[\u2028\u2029]/g, " ");

const escaped = (text) => String(text).replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);

function tooltip({ title, rows }) {
  const cells = rows.map(([label, text]) =>
    `<tr><td class="key">${escaped(label)}</td><td class="value">${escaped(text)}</td></tr>`);
  return `<h2>${escaped(title)}</h2><table>${cells.join("")}</table>`;
}

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
  // Weeks begin on Mondays, as did the one of 5 January 1970.
  const origin = step < 7 * DAY ? 0 : 4 * DAY;
  for (let at = Math.ceil((from - origin) / step) * step + origin; at <= to; at += step) marks.push(at);
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
