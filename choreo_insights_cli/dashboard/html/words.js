// Formats values, and gives them names and colours.

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const fixed = (digits) => new Intl.NumberFormat("en", {
  minimumFractionDigits: digits, maximumFractionDigits: digits });
// Orders 10 comes after Orders 9, and Banana after apple.
const collator = new Intl.Collator("en", { numeric: true });
const two = fixed(2), one = fixed(1);
const iso = (ms) => new Date(ms).toISOString();
const dayText = (day) => iso(day * DAY).slice(0, 10);
const daysText = ({ from, to }) => (from === to ? dayText(from) : `${dayText(from)} to ${dayText(to)}`);

function written(unit, value) {
  if (value === null || value === undefined) return "–";
  switch (unit) {
    case "percent": return `${two.format(value)} %`;
    case "ms": return `${value < 100 ? one.format(value) : whole.format(Math.round(value))} ms`;
    case "hours": return value < 48 ? `${one.format(value)} h` : `${one.format(value / 24)} days`;
    case "day": return dayText(value);
    case "instant": return iso(value).slice(0, 16).replace("T", " ");
    default: return typeof value === "number" ? whole.format(value) : String(value);
  }
}

// By how much a figure differs from an earlier one; a percentage by points.
function change(unit, value, earlier) {
  if (value === null || earlier === null || value === undefined || earlier === undefined) return null;
  const signed = (by, digits) => `${by < 0 ? "−" : "+"}${fixed(digits).format(Math.abs(by))}`;
  if (unit === "percent") return `${signed(value - earlier, 2)} points`;
  if (!["count", "ms", "bytes"].includes(unit) || !earlier) return null;
  const by = 100 * (value / earlier - 1);
  return `${signed(by, Math.abs(by) < 10 ? 1 : 0)} %`;
}

const share = (value, total) => (total ? `${one.format((100 * value) / total)} %` : "");

function named(dimension, value, panel = null) {
  if (value === null || value === undefined) return dimension.absent;
  switch (dimension.part) {
    case "hour": return iso(value).slice(0, coarse() ? 10 : 16).replace("T", " ");
    case "day": return iso(value).slice(0, 10);
    case "month": return iso(value).slice(0, 7);
    case "hour of day": return String(value).padStart(2, "0");
    case "weekday": return WEEKDAYS[value - 1];
    default:
      if (dimension.unit === "day") return dayText(value);
      if (Object.hasOwn(keys, dimension.column)) return label(dimension, value, panel);
      return dimension.known.find((known) => known.value === value)?.label ?? String(value);
  }
}

// --- Labels: a name, and as much more as tells it apart from the others that can be chosen

const labels = new Map();
function label(dimension, key, panel) {
  const [name, ...more] = JSON.parse(key);
  const { column } = dimension;
  // A table that shows an organisation beside it need not say it twice.
  const beside = panel?.kind === "table" ? panel.dimensions.map((other) => other.column) : [];
  const needed = telling(column).get(key) ?? [];
  const said = keys[column].map((part, n) => (needed.includes(part) && !beside.includes(part) ? more[n] : null));
  const of = (part) => said[keys[column].indexOf(part)] ?? null;
  const version = keys[column].includes("api_version") ? of("api_version") : null;
  const base = name === "" ? dimension.absent : name === "UNKNOWN" ? "UNKNOWN (no application)" : name;
  return [version ? `${base} ${version}` : base, ...["environment", "organization"].map(of)]
    .filter((word) => word !== null).join(" · ");
}

// The fewest parts that tell a key apart from others of its name, for each that needs any.
function telling(column) {
  const place = JSON.stringify([column, choice.organization, choice.environment]);
  if (!labels.has(place)) {
    const byName = new Map(), found = new Map();
    for (const text of keysOf(column)) {
      const key = JSON.parse(text);
      if (!byName.has(key[0])) byName.set(key[0], []);
      byName.get(key[0]).push([text, key]);
    }
    for (const those of byName.values()) {
      for (const [text, key] of those.length > 1 ? those : []) {
        found.set(text, subsets(keys[column]).find((parts) => {
          const at = parts.map((part) => keys[column].indexOf(part) + 1);
          return those.every(([other, its]) => other === text || at.some((n) => its[n] !== key[n]));
        }) ?? keys[column]);
      }
    }
    labels.set(place, found);
  }
  return labels.get(place);
}

const subsets = (parts) => [...Array(2 ** parts.length).keys()]
  .map((bits) => parts.filter((_, n) => bits & (1 << n)))
  .sort((a, b) => a.length - b.length);

// Every key of a column in the organisation and environment chosen.
const known = new Map();
function keysOf(column) {
  if (!known.has(column)) {
    const found = new Set();
    const seen = new Set();
    for (const panel of panels) {
      if (seen.has(panel.frame) || !Object.hasOwn(data.frames[panel.frame], column)) continue;
      seen.add(panel.frame);
      // A panel without environments would make each key twice.
      if (keys[column].some((part) => !Object.hasOwn(data.frames[panel.frame], part))) continue;
      for (const text of columnOf(panel, column).texts) found.add(text);
    }
    known.set(column, [...found]);
  }
  const at = (part) => (part === column ? 0 : keys[column].indexOf(part) + 1);
  const place = choice.environment ? JSON.parse(choice.environment) : null;
  return known.get(column).filter((text) => {
    const key = JSON.parse(text);
    const of = (part) => key[at(part)];
    // What the service gives without its environment can be no choice: nothing else has that key.
    return (column === "environment" || of("environment") !== null) &&
      (!choice.organization || of("organization") === choice.organization) &&
      (!place || column === "environment" || !keys[column].includes("environment") ||
        (of("environment") === place[0] && of("organization") === place[1]));
  });
}

// --- Colours: a value keeps its colour whatever is chosen

// The first panel with a series of a column ranks its values for all sheets.
function ranksOf({ series: { key } }) {
  if (!colours.has(key)) {
    const panel = panels.find(({ series }) => series?.key === key && !series.known.length);
    if (!panel) return new Map();
    const totals = new Map();
    const { values } = columnOf(panel, panel.measures[0].columns[0]);
    const { texts, values: numbers } = columnOf(panel, key);
    numbers.forEach((number, i) => {
      const name = number === null ? null : texts[number];
      totals.set(name, (totals.get(name) ?? 0) + (values[i] ?? 0));
    });
    const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || compare(a, b));
    colours.set(key, new Map(names.filter((n) => n !== OTHER).map((name, n) => [name, n])));
  }
  return colours.get(key);
}

const byRank = (panel) => (a, b) => {
  const ranks = ranksOf(panel);
  return (ranks.get(a) ?? Infinity) - (ranks.get(b) ?? Infinity) || compare(a, b);
};

// The colour of each key, in their order.
function shadesOf(panel, series) {
  if (!panel.series) return panel.measures.map((measure, n) => measure.colour ?? palette[n]);
  const ranks = ranksOf(panel), taken = new Set();
  return series.map((key) => {
    const known = panel.series.known.find((value) => value.value === key);
    let colour = known?.colour ?? (key === OTHER ? rest : palette[ranks.get(key)]);
    if (!colour || (!known && taken.has(colour))) {
      colour = palette.find((free) => !taken.has(free)) ?? rest;
    }
    taken.add(colour);
    return colour;
  });
}
