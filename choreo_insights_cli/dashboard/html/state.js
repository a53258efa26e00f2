// The constants and the state of the page.

const HOUR = 3600e3, DAY = 24 * HOUR;
const { sheets, panels, charts, palette, rest, scales, hoursUpToDays, about } =
  JSON.parse(document.getElementById("description").textContent);
const byId = new Map(panels.map((panel) => [panel.id, panel]));
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const OTHER = "Other", TOTAL = "Total";
// Whole weeks, so that each weekday counts as often as the others.
const FIRST_DAYS = 28;
const CHOICES = ["organization", "environment", "api_name"];
let data, choice, sheet = sheets[0].id, failures = 0;
const drawn = new Map(), views = new Map(), colours = new Map(), sorted = new Map();
