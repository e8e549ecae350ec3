"""What is read out of the web UI's pages, as JavaScript: each answers null while it knows the page to be incomplete.

One script reads a whole page at once. Element by element, React would replace some of them in between.
"""

from __future__ import annotations

GRAPH = """
const boxes = [...document.querySelectorAll('svg foreignObject')].map(box => ({
  // SVG elements have no innerText; what is inside this one is HTML.
  text: box.firstElementChild ? box.firstElementChild.innerText.trim() : '',
  x: +box.getAttribute('x'), y: +box.getAttribute('y'),
  width: +box.getAttribute('width'), height: +box.getAttribute('height'),
}));
const edges = [...document.querySelectorAll('svg path[marker-end]')].map(path => path.getAttribute('d'));
const asked = boxes.every(box => /\\d+% filled/.test(box.text));
return boxes.length && edges.length && asked ? {boxes, edges} : null;
"""

RUN = """
const heads = [...document.querySelectorAll('[aria-controls]')]
  .filter(head => /^(Preparing|Executing|Errored|Succeeded) \\(\\d+\\)$/.test(head.innerText.trim()));
const steps = {};
for (const head of heads) {
  const [, name, count] = head.innerText.trim().match(/^(\\w+) \\((\\d+)\\)$/);
  if (head.getAttribute('aria-expanded') === 'false') { head.click(); return null; }
  const list = document.getElementById(head.getAttribute('aria-controls'));
  steps[name] = [...list.querySelectorAll('[class*=stepLabel]')].map(label => label.innerText);
  if (steps[name].length !== +count) return null;
}
// The title tells it too, but now and then it stays the application's name.
const status = document.body.innerText.match(/^(Success|Failure|Canceled|Canceling|Started|Starting|Queued)$/m);
const known = Object.values(steps).some(names => names.length);
return known && status ? {status: status[1].toUpperCase(), steps} : null;
"""

TAGS = """
const title = [...document.querySelectorAll('*')].find(one => !one.children.length && one.innerText === 'Tags');
const tags = title && [...title.parentElement.querySelectorAll('[class*=baseTag]')].map(tag => tag.innerText.trim());
return tags && tags.length ? tags : null;
"""

PARTITIONS = """
const counts = [...document.body.innerText.matchAll(/(Failed|Materialized|Materializing|Missing) \\((\\d+)\\)/g)];
return counts.length === 4 ? counts.map(([, state, count]) => [state, count]) : null;
"""

METADATA = """
const isIt = table => [...table.rows].some(row => row.cells[0].innerText.trim() === 'dagster/partition_row_count');
const table = [...document.querySelectorAll('table')].find(isIt);
if (!table) return null;
const column = table.tHead ? 2 : 1;  // with a head, the time stands between key and value
const entries = [...table.tBodies[0].rows].map(row => {
  const inner = row.querySelector('table');
  const value = inner
    ? [...inner.rows].map(line => [...line.cells].map(cell => cell.innerText.trim()))
    : row.cells[column].innerText.trim();
  return [row.cells[0].innerText.trim(), value];
});
return entries.every(([, value]) => value.length) ? entries : null;  // Markdown is rendered later than the rest
"""

DIALOG = """
const table = document.querySelector('[role=dialog] table');
return table && [...table.rows].map(line => [...line.cells].map(cell => cell.innerText.trim()));
"""

PLOTS = """
const plots = [...document.querySelectorAll('canvas[role=img]')].map(canvas => {
  const {width, height} = canvas;
  if (!width || !height) return null;
  const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let at = 0; at < pixels.length; at += 4) {
    const [red, green, blue, opaque] = pixels.slice(at, at + 4);
    if (opaque < 200 || blue - red < 60 || blue - green < 60) continue;  // only the line is this blue
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  const name = canvas.parentElement.parentElement.previousElementSibling.innerText.trim();
  return right < 0 ? null : {name, width: (right - left) / width, height: (bottom - top) / height};
});
return plots.length && plots.every(Boolean) ? plots : null;
"""

CHECKS = """
const checks = [...document.querySelectorAll('div[title]')]
  .filter(name => name.nextElementSibling)
  .map(name => [name.title, name.nextElementSibling.innerText.trim()]);
const count = document.body.innerText.match(/Checks \\((\\d+)\\)/);
const known = checks.every(([, result]) => result && !/progress|unknown|evaluat/i.test(result));
return count && checks.length === +count[1] && known ? checks : null;
"""
