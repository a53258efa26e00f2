// Formats values, and gives them colours.

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const fixed = (digits) => new Intl.NumberFormat("en", {
  minimumFractionDigits: digits, maximumFractionDigits: digits });
// Orders 10 comes after Orders 9, and Banana after apple.
const collator = new Intl.Collator("en", { numeric: true });
const two = fixed(2), one = fixed(1);
const iso = (ms) => new Date(ms).toISOString();
const dayText = (day) => iso(day * DAY).slice(0, 10);

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

function named(dimension, value) {
  if (value === null || value === undefined) return dimension.absent;
  switch (dimension.part) {
    case "hour": return iso(value).slice(0, coarse() ? 10 : 16).replace("T", " ");
    case "day": return iso(value).slice(0, 10);
    case "month": return iso(value).slice(0, 7);
    case "hour of day": return String(value).padStart(2, "0");
    case "weekday": return WEEKDAYS[value - 1];
    default:
      if (dimension.unit === "day") return dayText(value);
      return dimension.known.find((known) => known.value === value)?.label ?? String(value);
  }
}

// --- Colours: a value keeps its colour whatever is chosen

// The first panel with a series of a column ranks its values for all sheets.
function ranksOf({ series: { key } }) {
  if (!colours.has(key)) {
    const panel = panels.find(({ series }) => series?.key === key && !series.known.length);
    if (!panel) return new Map();
    const totals = new Map();
    const values = columnOf(panel, panel.measures[0].columns[0]);
    columnOf(panel, key).forEach((name, i) => totals.set(name, (totals.get(name) ?? 0) + (values[i] ?? 0)));
    const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || compare(a, b));
    colours.set(key, new Map(names.filter((n) => n !== OTHER).map((name, n) => [name, n])));
  }
  return colours.get(key);
}

const byRank = (panel) => (a, b) => {
  const ranks = ranksOf(panel);
  return (ranks.get(a) ?? Infinity) - (ranks.get(b) ?? Infinity) || compare(a, b);
};

function coloured(panel, keys) {
  const found = new Map();
  if (!panel.series) {
    panel.measures.forEach((measure, n) => found.set(measure.label, measure.colour ?? palette[n]));
    return found;
  }
  const ranks = ranksOf(panel), taken = new Set();
  for (const key of keys) {
    const known = panel.series.known.find((value) => value.value === key);
    let colour = known?.colour ?? (key === OTHER ? rest : palette[ranks.get(key)]);
    if (!colour || (!known && taken.has(colour))) {
      colour = palette.find((free) => !taken.has(free)) ?? rest;
    }
    taken.add(colour);
    found.set(named(panel.series, key), colour);
  }
  return found;
}
