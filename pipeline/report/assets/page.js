"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Plots. Those with panels get as many columns as fit; the others take the page's width.
  function fitted(spec, width) {
    if (!spec.facet) return spec;
    const gutter = 60;
    const wanted = spec.spec.width;
    const columns = Math.max(1, Math.min(spec.columns, Math.floor((width - gutter) / (wanted + 20))));
    const inner = columns === 1 ? Math.min(wanted * 1.5, width - gutter - 20) : wanted;
    return { ...spec, columns, spec: { ...spec.spec, width: Math.max(80, inner) } };
  }

  async function draw() {
    const theme = dark.matches ? "dark" : "light";
    for (const place of document.querySelectorAll(".plot")) {
      const spec = fitted(page.plots[place.dataset.plot], place.clientWidth);
      const drawn = await vegaEmbed(place, spec, {
        config: page.themes[theme],
        renderer: "svg",
        tooltip: { theme },
        actions: { export: true, source: false, compiled: false, editor: false },
      });
      drawn.view.addEventListener("click", (_, item) => {
        const id = item && item.datum && item.datum.point_id;
        if (id && page.placements[id]) location.hash = `point-${id}`;
      });
    }
    document.documentElement.dataset.drawn = theme;
  }

  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 200);
  });
  dark.addEventListener("change", draw);

  // Table: sorting by the header's button, filtering by the form.
  const table = document.getElementById("point-table");
  const body = table.tBodies[0];
  const rows = [...body.rows];

  function sortBy(header) {
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1;
    const numeric = header.classList.contains("n");
    const key = (row) => {
      const cell = row.cells[column];
      if (!numeric) return cell.textContent;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const keyed = rows.map((row) => [key(row), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    for (const other of table.tHead.rows[0].cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...keyed.map(([, row]) => row));
  }

  for (const button of table.tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }

  const filters = document.getElementById("filters");
  function filter() {
    const wanted = Object.fromEntries(new FormData(filters));
    const text = wanted.text.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ["granularity", "method", "status"].every(
        (name) => !wanted[name] || row.dataset[name] === wanted[name],
      );
      row.hidden = !fits || (text && !row.textContent.toLowerCase().includes(text));
      shown += !row.hidden;
    }
    const noun = rows.length === 1 ? "row" : "rows";
    document.getElementById("shown").textContent = `${shown} of ${rows.length} ${noun}`;
  }
  for (const event of ["input", "change"]) filters.addEventListener(event, filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));

  // Placements: #point-ID in the address opens the stages of a point.
  const dialog = document.getElementById("placement");
  const columns = [
    ["stage", (s) => s.stage, "n"],
    ["layers", (s) => `${s.layers} (${s.size})`],
    ["GPUs", (s) => `${s.gpu} TP ${s.tp}`],
    ["GPU ids", (s) => s.ids],
    ["memory of each GPU", (s) => memory(s)],
    ["tokens/s", (s) => Math.round(s.tokens_per_s).toLocaleString("en"), "n"],
    ["$/h", (s) => s.usd_per_hour.toFixed(2), "n"],
    ["", (s) => (s.bottleneck ? "bottleneck" : "")],
  ];

  function memory(stage) {
    const meter = document.createElement("meter");
    meter.max = 1;
    meter.value = stage.memory;
    const text = ` ${stage.memory_gb.toFixed(1)} GB, ${(100 * stage.memory).toFixed(0)} %`;
    const both = document.createElement("span");
    both.append(meter, text);
    return both;
  }

  function cells(tag, values) {
    const row = document.createElement("tr");
    for (const [value, style] of values) {
      const cell = document.createElement(tag);
      if (style) cell.className = style;
      cell.append(value);
      row.append(cell);
    }
    return row;
  }

  function openPlacement() {
    const id = decodeURIComponent(location.hash.slice(1)).replace(/^point-/, "");
    const stages = location.hash.startsWith("#point-") && page.placements[id];
    if (!stages) return;
    document.getElementById("placement-title").textContent = `Placement of point ${id}`;
    const link = table.querySelector(`a[href="#point-${CSS.escape(id)}"]`);
    const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim());
    const values = link ? [...link.closest("tr").cells].slice(1).map((cell) => cell.textContent) : [];
    document.getElementById("placement-facts").textContent = names
      .map((name, i) => (values[i] ? `${name}: ${values[i]}` : ""))
      .filter(Boolean)
      .join(" · ");
    const stageTable = dialog.querySelector("table");
    stageTable.tHead.replaceChildren(cells("th", columns.map(([title, , style]) => [title, style])));
    stageTable.tBodies[0].replaceChildren(
      ...stages.map((stage) => {
        const row = cells("td", columns.map(([, show, style]) => [show(stage), style]));
        if (stage.bottleneck) row.className = "bottleneck";
        return row;
      }),
    );
    if (!dialog.open) dialog.showModal();
  }
  dialog.addEventListener("close", () => {
    const link = table.querySelector(`a[href="${location.hash}"]`);
    history.replaceState(null, "", location.pathname + location.search);
    if (link) link.focus({ preventScroll: true });
  });
  addEventListener("hashchange", openPlacement);

  openPlacement();
  if (globalThis.vegaEmbed) draw();
  else document.documentElement.dataset.drawn = "none";
})();
