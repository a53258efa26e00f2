// Explains why a panel is empty, and what it does not show.

function places() {
  return data.environments.filter((place) =>
    (!choice.organization || place.organization === choice.organization) &&
    (!choice.environment || inPlace(place.environment, place.organization)));
}

// Whether an environment is the one that is chosen: those of two organisations may share a name.
const inPlace = (environment, organization) =>
  JSON.stringify([environment, organization]) === choice.environment;

// The ledger has no entry about itself: it exists where any table does.
const ofLedger = (panel) => panel.sources.every((table) => table === "runs");

// The days with an export, of each table, organisation and environment that a panel comes from.
function exports(panel) {
  return data.coverage.filter((entry) =>
    (ofLedger(panel) || panel.sources.includes(entry.table)) &&
    (!choice.organization || entry.organization === choice.organization) &&
    (!choice.environment || entry.environment === null || !panel.filters.includes("environment") ||
      inPlace(entry.environment, entry.organization))).map((entry) => entry.days);
}

function exported(panel) {
  return exports(panel).some((days) => !panel.filters.includes("day") ||
    days.some(([first, last]) => first <= choice.to && last >= choice.from));
}

// Whether all of some days were exported: else a comparison would be with a part of them.
function complete(panel, { from, to }) {
  const known = exports(panel);
  return known.length > 0 && known.every((days) => days.some(([first, last]) => first <= from && to <= last));
}

// The text for chosen days without an export, or with a part of one.
function gaps(panel) {
  if (ofLedger(panel) || !panel.filters.includes("day")) return "";
  const known = exports(panel), found = { none: 0, some: 0, all: 0 };
  const [from, to] = [Math.max(choice.from, span[0]), Math.min(choice.to, span[1])];
  for (let day = from; day <= to; day++) {
    const there = known.filter((days) => days.some(([first, last]) => first <= day && day <= last));
    found[there.length === known.length ? "all" : there.length ? "some" : "none"] += 1;
  }
  const of = to > from ? `of ${to - from + 1} days` : "of 1 day";
  return [found.none && `No export of ${found.none} ${of}.`, found.some && `Incomplete on ${found.some} ${of}.`]
    .filter(Boolean).join(" ");
}

const PLACES = ["organization", "environment"];

function reason(panel) {
  const absent = panel.unavailable;
  if (absent?.environment_type && places().length &&
      !places().some((place) => place.type === absent.environment_type)) {
    return { why: "unavailable", title: "This source gives none", text: absent.reason };
  }
  if (absent?.where_tried && data.coverage.length && !data.coverage.some((entry) =>
    panel.sources.includes(entry.table) &&
    (!choice.organization || entry.organization === choice.organization))) {
    return { why: "unavailable", title: "This source gives none", text: absent.reason };
  }
  if (!exported(panel)) {
    return { why: "not exported", title: "Not exported yet",
      text: ofLedger(panel) ? panel.nothing
        : `No export of ${panel.sources.join(", ")} in what is chosen. The sheet Data health tells more.` };
  }
  const of = chosen().filter((name) => follows(panel, name) && !PLACES.includes(name))
    .map((name) => `${filters[name].label} ${filterText(name)}`);
  return { why: "nothing happened", title: "Nothing happened",
    text: panel.nothing + (of.length ? ` (${of.join(", ")})` : "") };
}

// A gap that all panels of a sheet share is shown once.
let common = "";
function commonGaps(own) {
  const found = new Set(own.filter((panel) => !ofLedger(panel) && panel.filters.includes("day")).map(gaps));
  return found.size === 1 ? [...found][0] : "";
}

// The text for choices that a panel ignores.
function scope(panel, why) {
  const left = chosen().filter((name) => !follows(panel, name)).map((name) => filters[name].all);
  if (!wholeSpan() && !panel.filters.includes("day")) left.push("all dates");
  const said = left.length ? [`Shows ${left.join(", ")}.`] : [];
  if (panel.x?.part === "hour") {
    said.push(!coarse() ? "By hour." :
      `By day, ${additive(panel) ? "" : "the highest of its hours, "}as more than ${hoursUpToDays} days are chosen.`);
  }
  const lacks = ["unavailable", "not exported"].includes(why) ? "" : gaps(panel);
  return [...said, lacks === common ? "" : lacks].filter(Boolean).join(" ");
}

// The day of the drawing is incomplete.
function filling() {
  return choice.from <= today && today <= Math.min(choice.to, span[1])
    ? `${dayText(today).replaceAll("-", "\u2011")} is not over: its figures are of a part of the day.` : "";
}
