// The charts, as SVG. What stands for a choice is a button: by mouse, Enter and the space bar.

const dark = () => document.documentElement.dataset.theme === "dark";
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 230, LETTER = 6.4;

function element(tag, attributes = {}, ...children) {
  return completed(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return completed(document.createElementNS(SVG, tag), attributes, children);
}

function completed(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const words = (text, attributes = {}) => svg("text", attributes, text);

const pen = document.createElement("canvas").getContext("2d");
function widthOf(text, size = 11) {
  pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

// The middle of a long name is left out, as versions stand at the end. The page has all of it.
function shortened(name, room) {
  const text = name.replace(/^https?:\/\//, "");
  if (widthOf(text) <= room) return text;
  let letters = Math.max(4, Math.floor(room / LETTER));
  const cut = (n) => `${text.slice(0, Math.ceil(n * 0.6))}…${text.slice(-Math.floor(n * 0.4))}`;
  while (letters > 4 && widthOf(cut(letters)) > room) letters -= 1;
  return cut(letters);
}

// --- Axes

// Round numbers from 0, or from a little less than a figure, up to one or a little more.
function scaleTo(most, unit, least = 0) {
  const rough = (most - least || 1) / 5, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  if (unit === "count") step = Math.max(1, step);
  const from = Math.floor(least / step + 1e-9), to = Math.max(from + 1, Math.ceil((most || 1) / step - 1e-9));
  return [...Array(to - from + 1).keys()].map((n) => Number(((from + n) * step).toPrecision(12)));
}

const axisText = (unit, value) => (unit === "count" || unit === "bytes"
  ? value < 1000 ? String(value) : compact.format(value) : whole.format(Number(value.toPrecision(6))));
const AXIS_TITLES = { percent: "%", ms: "ms", hours: "hours" };

// The days chosen as far as there are any, the same for all charts of a sheet.
function timeSpan(found) {
  const [from, to] = [Math.max(choice.from, span[0]) * DAY, (Math.min(choice.to, span[1]) + 1) * DAY];
  return found.step === DAY ? [from - DAY / 2, to - DAY / 2] : [from, to];
}

// Round times, at least a step apart, and no more than have room.
function ticks(found, width) {
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

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const tickText = (at) => (at % DAY ? iso(at).slice(11, 16)
  : `${MONTHS[new Date(at).getUTCMonth()]} ${iso(at).slice(8, 10)}`);

// --- Kinds of charts; each gives its SVG

function overTimeChart(panel, found, width, height) {
  const { unit } = panel.measures[0], target = targetOf(panel);
  // A percentage that is nearly all would be a line along the top.
  const least = panel.kind === "line" && unit === "percent" ? Math.min(found.lowest, target?.at ?? 100) : 0;
  const values = scaleTo(Math.max(found.highest, target?.at ?? 0), unit, least > 50 ? least : 0);
  const title = AXIS_TITLES[unit];
  const left = Math.max(...values.map((value) => widthOf(axisText(unit, value)))) + 10;
  const [top, right, bottom] = [title ? 20 : 8, 10, 22];
  const [from, to] = timeSpan(found), first = values[0], most = values.at(-1);
  const x = (at) => left + ((at - from) / (to - from)) * (width - left - right);
  const y = (value) => top + (1 - (value - first) / (most - first)) * (height - top - bottom);
  const grid = values.flatMap((value) => [
    svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
    words(axisText(unit, value), { class: "label", x: left - 6, y: y(value) + 4, "text-anchor": "end", "data-value": value }),
  ]);
  const times = ticks(found, width - left).map((at) => {
    const half = widthOf(tickText(at)) / 2;
    return words(tickText(at), { class: "label time", y: height - 6, "text-anchor": "middle",
      x: Math.min(Math.max(x(at), half), width - half) });
  });
  const marks = panel.kind === "line" ? lines(panel, found, x, y) : found.marks.map((mark) =>
    svg("rect", { class: "mark", fill: found.shades[mark.series], x: x(mark.x0), y: y(mark.y1),
      width: Math.max(0.5, x(mark.x1) - x(mark.x0)), height: y(mark.y0) - y(mark.y1) }));
  const columns = found.hover.map((column) => {
    const [a, b] = [Math.max(x(column.x0), left), Math.min(x(column.x1), width - right)];
    const made = svg("rect", { class: "hover", x: a, width: Math.max(0, b - a), y: top, height: height - top - bottom });
    hovers(made, column.tip);
    // Of a day or of an hour in it, all of that day.
    const day = Math.floor((column.x0 + (column.x1 - column.x0) / 2 + (found.step === DAY ? DAY / 2 : 0)) / DAY);
    if (panel.kind === "stacked") made.onclick = (event) => pickAt(found, column, event, y, day);
    return made;
  });
  const line = target ? [svg("line", { class: "target", x1: left, x2: width - right, y1: y(target.at), y2: y(target.at) }),
    words(target.text, { class: "label", x: width - right, y: y(target.at) - 5, "text-anchor": "end" })] : [];
  return [svg("g", { class: "axis" }, ...grid, ...times, ...(title ? [words(title, { class: "label", x: 2, y: 12 })] : [])),
    svg("g", { class: "marks" }, ...marks), ...line, svg("g", {}, ...columns)];
}

// A click on a part of a column chooses what the part stands for, one beside it the day.
function pickAt(found, column, event, y, day) {
  const middle = (column.x0 + column.x1) / 2;
  const at = event.clientY - event.currentTarget.ownerSVGElement.getBoundingClientRect().y;
  const part = found.marks.find((mark) => mark.x0 <= middle && middle <= mark.x1 &&
    y(mark.y1) <= at && at <= y(mark.y0));
  const pick = part && found.legend[part.series]?.pick;
  if (pick) toggle(pick); else if (choice.from !== choice.to) choose({ span: "custom", from: day, to: day });
}

function lines(panel, found, x, y) {
  const made = [];
  const thin = choice.to - choice.from > 120 ? 1 : 2;
  found.shades.forEach((colour, n) => {
    const points = found.marks.filter((mark) => mark.series === n);
    let path = "", drawing = false;
    for (const { x0, value } of points) {
      if (value === null) { drawing = false; continue; }
      path += `${drawing ? "L" : "M"}${x(x0).toFixed(2)} ${y(value).toFixed(2)}`;
      drawing = true;
    }
    // Measures of the same requests can be equal: a dashed line shows the one below it.
    made.push(svg("path", { class: "line", d: path, fill: "none", stroke: colour, "stroke-width": thin,
      "stroke-dasharray": !panel.series && n % 2 ? "4 4" : undefined }));
    for (const { x0, value, dot } of points) {
      if (dot) made.push(svg("circle", { class: "mark", cx: x(x0), cy: y(value), r: 3, fill: colour }));
    }
  });
  return made;
}

function barChart(panel, found, width, height) {
  const narrow = width < 480, rows = found.marks.length;
  const target = targetOf(panel);
  const room = Math.max(...found.marks.map(({ text }) => widthOf(text))) + 10;
  const names = narrow ? 0 : Math.min(width * 0.36, 250,
    Math.max(...found.marks.map(({ name }) => widthOf(name.replace(/^https?:\/\//, "")))) + 10);
  const row = Math.min(height / rows, narrow ? 40 : 36), thick = narrow ? 14 : row * 0.78;
  const most = Math.max(found.largest, target?.at ?? 0) || 1;
  const x = (value) => names + (value / most) * (width - names - room);
  const made = found.marks.map((mark, n) => {
    const top = n * row + (narrow ? row - thick - 4 : (row - thick) / 2);
    const text = shortened(mark.name, narrow ? width : names - 10);
    const bar = svg("g", { class: "bar" },
      words(text, { class: "label name", x: narrow ? 0 : names - 8, y: narrow ? top - 4 : n * row + row / 2 + 4,
        "text-anchor": narrow ? "start" : "end" }),
      svg("rect", { class: "mark", x: names, y: top, rx: 2, width: Math.max(1, x(mark.value) - names), height: thick, fill: mark.shade }),
      words(mark.text, { class: "value", x: x(mark.value) + 5, y: top + thick / 2 + 4 }));
    return hit(bar, { x: 0, y: n * row, width, height: row }, mark, `${mark.name}: ${mark.text}`);
  });
  const line = target ? [svg("line", { class: "target", x1: x(target.at), x2: x(target.at), y1: 0, y2: rows * row })] : [];
  return [...made, ...line];
}

function heatChart(panel, found, width, height) {
  const narrow = width < 480;
  const names = Math.min(narrow ? 125 : 250, Math.max(...found.down.map((name) => widthOf(name))) + 10);
  const cell = (width - names) / found.across.length;
  const longest = Math.max(...found.across.map((name) => widthOf(name)));
  const angle = longest + 6 <= cell ? 0 : cell < 18 ? 90 : 40;
  const below = angle ? Math.min(longest, 115) * Math.sin((angle * Math.PI) / 180) + 18 : 20;
  const row = Math.min(36, (height - below) / found.down.length);
  const shade = (value) => mixed(scales[dark() ? "dark" : "light"], value / found.most);
  // One place for the Tab key; arrows go from cell to cell.
  const made = found.marks.map((mark, n) => {
    const [left, top] = [names + mark.column * cell, mark.row * row], colour = shade(mark.value);
    const made = svg("g", { class: "cell" },
      svg("rect", { class: "mark", x: left + 1, y: top + 1, width: Math.max(1, cell - 2), height: row - 2, fill: colour }),
      ...(mark.text ? [words(mark.text, { class: "figure", x: left + cell / 2, y: top + row / 2 + 4,
        "text-anchor": "middle", fill: readable(colour) })] : []));
    const said = `${mark.tip.title}: ${mark.tip.rows.map(([label, text]) => `${label} ${text}`).join(", ")}`;
    return hit(made, { x: left, y: top, width: cell, height: row, "data-column": mark.column, "data-row": mark.row },
      mark, said, n === 0 ? 0 : -1);
  });
  const axis = [
    ...found.down.map((name, n) => words(shortened(name, names - 10),
      { class: "label name", x: names - 8, y: n * row + row / 2 + 4, "text-anchor": "end" })),
    ...found.across.map((name, n) => {
      const [x, y] = [names + (n + 0.5) * cell, found.down.length * row + 14];
      if (!angle && n % Math.ceil((longest + 4) / cell)) return "";
      return words(shortened(name, 115), { class: "label across", x, y, "text-anchor": angle ? "end" : "middle",
        transform: angle ? `rotate(-${angle} ${x} ${y - 4})` : undefined });
    }),
  ];
  return [svg("g", { class: "axis" }, ...axis), svg("g", { class: "cells" }, ...made)];
}

const channels = (colour) => [1, 3, 5].map((n) => parseInt(colour.slice(n, n + 2), 16));
const mixed = ([low, high], share) => `#${channels(low)
  .map((from, n) => Math.round(from + (channels(high)[n] - from) * share).toString(16).padStart(2, "0")).join("")}`;
const light = (colour) => channels(colour).map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, n) => sum + value * [0.2126, 0.7152, 0.0722][n], 0);
// Black or white, whichever has more contrast.
const readable = (colour) => (1.05 / (light(colour) + 0.05) > (light(colour) + 0.05) / 0.05 ? "#ffffff" : "#000000");

// --- The place of a chart

function layout(panel, found, width) {
  const narrow = width < 480;
  switch (panel.kind) {
    case "bar": return [narrow ? 40 : 24, narrow ? 40 : 36].map((row) => row * found.marks.length + 6);
    case "heatmap": {
      const below = widthOf("0".repeat(Math.min(18, Math.max(...found.across.map((name) => name.length)))));
      return [26, 36].map((row) => row * found.down.length + 24 + below);
    }
    default: return [HEIGHT, Infinity];
  }
}

function plot(panel, found, place, most) {
  const [width, height] = [place.clientWidth, Math.min(place.clientHeight, most)];
  // Not seen: it is drawn when its sheet is shown.
  if (!width) return;
  const draw = { bar: barChart, heatmap: heatChart }[panel.kind] ?? overTimeChart;
  const interactive = panel.kind === "bar" || panel.kind === "heatmap";
  const chart = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-label": panel.title,
    role: interactive ? "group" : "img" }, ...draw(panel, found, width, height));
  place.replaceChildren(chart);
  if (!chart.querySelector(".mark, .line")) throw new Error("no mark was drawn");
}

function legend(panel, found) {
  if (panel.kind === "heatmap") {
    const ramp = scales[dark() ? "dark" : "light"].join(", ");
    return element("ul", { class: "legend" }, element("li", {}, "0",
      element("i", { class: "ramp", style: `background: linear-gradient(to right, ${ramp})` }),
      `${written(panel.measures[0].unit, found.most)} ${panel.measures[0].label.toLowerCase()}`));
  }
  if (!found.legend || (found.legend.length < 2 && !panel.series)) return "";
  return element("ul", { class: "legend" }, ...found.legend.map(({ name, colour, pick, share }) => {
    const said = [element("i", { style: `background: ${colour}` }), element("span", { title: name }, ...bothEnds(name)),
      ...(share ? [element("small", {}, share)] : [])];
    return element("li", {}, ...(pick ? [button(said, pick, name)] : said));
  }));
}

// Of a long name the middle is left out where there is no room: what distinguishes it is at its end.
const bothEnds = (name) => (name.length > 30
  ? [element("span", {}, name.slice(0, -16)), element("span", {}, name.slice(-16))] : [name]);

const isPicked = (pick) => Object.entries(pick).every(([name, value]) => choice[name] === value);

function button(children, pick, name) {
  const made = element("button", { type: "button", class: "pick", "aria-pressed": isPicked(pick),
    title: `Show only ${name}` }, ...children);
  made.onclick = () => toggle(pick);
  return made;
}

// The area over a mark and its texts: the pointer meets it, and a button is one where it stands
// for a choice. Inside of a button the texts would be a second name of it.
function hit(mark, area, { pick, tip }, said, tab = 0) {
  const made = svg("rect", { class: "hit", role: "img", "aria-label": said, ...area });
  mark.append(made);
  hovers(made, tip, Boolean(pick && Object.keys(pick).length));
  if (!pick || !Object.keys(pick).length) return mark;
  for (const [name, value] of Object.entries({ role: "button", tabindex: tab, "aria-pressed": isPicked(pick) })) {
    made.setAttribute(name, value);
  }
  made.classList.add("pick");
  made.onclick = () => toggle(pick);
  made.onkeydown = (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(pick); }
    if (made.dataset.row !== undefined) step(made, event);
  };
  return mark;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function step(mark, event) {
  const by = ARROWS[event.key];
  if (!by) return;
  event.preventDefault();
  let [column, row] = [Number(mark.dataset.column), Number(mark.dataset.row)];
  const cells = [...mark.closest(".cells").querySelectorAll(".hit")];
  for (let n = 0; n < 60; n++) {
    column += by[0]; row += by[1];
    const next = cells.find((cell) => cell.dataset.column === String(column) && cell.dataset.row === String(row));
    if (!next) continue;
    mark.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
    return;
  }
}

// --- What the pointer or the keyboard is at

const bubble = element("div", { id: "tip", "aria-hidden": true, hidden: true });
// A mark that listens for the focus is a stop of the Tab key in Chromium: only buttons do.
function hovers(mark, tip, isButton = false) {
  const show = (x, y) => {
    bubble.replaceChildren(element("b", {}, tip.title), element("table", {}, ...tip.rows.map((cells) =>
      element("tr", {}, ...cells.map((cell) => element("td", {}, cell))))));
    bubble.hidden = false;
    const { width, height } = bubble.getBoundingClientRect();
    bubble.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    bubble.style.top = `${Math.max(4, y + height + 20 > innerHeight ? y - height - 10 : y + 14)}px`;
  };
  const hide = () => { bubble.hidden = true; };
  mark.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
  mark.addEventListener("pointerleave", hide);
  if (!isButton) return;
  mark.addEventListener("focus", () => {
    const box = mark.getBoundingClientRect();
    show(box.x + box.width / 2, box.y + box.height / 2);
  });
  mark.addEventListener("blur", hide);
}

// The target of what is shown, where one is set.
function targetOf(panel) {
  const { target } = panel;
  if (!target) return null;
  // That of the API that is chosen, where a panel follows such a choice.
  const own = follows(panel, "api_name") ? targets.apis[choice.api_name] : undefined;
  const at = (own ?? targets)[target];
  return at === null || at === undefined ? null
    : { at, text: `Target ${written(panel.measures[0].unit, at)}` };
}
