// The maps of the page: month, product, the place under the cross and its months.
// The data come as scripts (layers/*.js, written by export_layers), because a page opened from
// disk may load scripts but may not fetch. All text goes in as text, never as HTML.
(function () {
  "use strict";
  const MISSING = -32768;
  const BLUE = "#1f5f8b", ORANGE = "#c8641e", GREEN = "#1b7837", GREY = [212, 212, 212];
  const NAMES = ["January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December"];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const root = document.getElementById("viewer");
  const data = {}, asked = {}; // of each file: its layers, and whether it was asked for
  const view = { zoom: 1, x: 0.5, y: 0.5 }; // middle of what is seen, as shares of the map
  let about, ui, month = 0, product = 0, cell = 0, playing = 0, picture, area, waiting = false;

  function make(tag, options, ...parts) {
    const svg = ["svg", "g", "path", "line", "rect", "circle", "text", "polygon", "title"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value);
    }
    made.append(...parts);
    return made;
  }

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const printed = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
  const named = (text) => text.length === 7 ? `${NAMES[+text.slice(5) - 1]} ${text.slice(0, 4)}` : text;
  const scale = () => about.scales[product];
  const digits = () => scale().id === "trend" ? 5 : scale().id === "di" ? 2 : 3;

  // ---- files ----
  async function unpacked(text, count) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const all = new Uint8Array(await new Response(stream).arrayBuffer());
    const size = about.rows * about.cols, layers = [];
    for (let n = 0; n < count; n++) layers.push(decoded(all, 2 * n * size));
    return layers;
  }

  // The reverse of `packed` in export_layers.py.
  function decoded(bytes, start) {
    const { rows, cols } = about, size = rows * cols, out = new Int16Array(size).fill(MISSING);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++, at++) {
        const code = bytes[start + at] | (bytes[start + size + at] << 8);
        if (!code) continue;
        const left = col ? out[at - 1] : MISSING, upper = row ? out[at - cols] : MISSING;
        const guess = left === MISSING ? (upper === MISSING ? 0 : upper)
          : upper === MISSING ? left : (left + upper) >> 1;
        const away = code - 1;
        out[at] = guess + (away & 1 ? -(away + 1) / 2 : away / 2);
      }
    }
    return out;
  }

  function load(name) {
    if (asked[name]) return;
    asked[name] = true;
    const script = make("script", { src: `layers/${name}.js` });
    script.onerror = () => {
      complain(`layers/${name}.js cannot be read. Copy the whole folder of this page.`);
      next();
    };
    document.head.append(script);
    script.onload = () => script.remove();
  }

  // The shown month first, then the trend, then the nearest months: one file at a time.
  function next() {
    const order = about.months.map((name, n) => [Math.abs(n - month), name]).sort((a, b) => a[0] - b[0]);
    const names = order.map((pair) => pair[1]);
    if (about.calendar.length) names.splice(1, 0, "trend");
    const name = names.find((one) => !asked[one]);
    if (name) setTimeout(load, 0, name);
  }

  async function take(name, text) {
    try {
      if (name === "trend") {
        const count = about.calendar.length, layers = await unpacked(text, 2 * count);
        data.trend = { slope: layers.slice(0, count), significant: layers.slice(count) };
      } else {
        const layers = await unpacked(text, about.layers.length);
        data[name] = Object.fromEntries(about.layers.map((layer, n) => [layer, layers[n]]));
      }
    } catch (error) {
      complain(`layers/${name}.js is damaged: make the page again.`);
    }
    refresh();
    next();
  }

  function complain(text) {
    ui.trouble.textContent = text;
    ui.trouble.hidden = false;
  }

  // ---- values ----
  function stored(layer, step, at) {
    return !layer || layer[at] === MISSING ? NaN : layer[at] * step;
  }

  function value(id, n, at) {
    if (id === "trend") {
      const which = about.calendar.indexOf(about.months[n].slice(5, 7));
      return which < 0 || !data.trend ? NaN : stored(data.trend.slope[which], about.steps.slope, at);
    }
    const layers = data[about.months[n]];
    if (!layers) return NaN;
    const of = (name) => stored(layers[name], about.steps[name], at);
    if (id === "width") return of("upper") - of("lower");
    if (id === "difference") return of("map") - of("smci");
    return of(id);
  }

  function ready() {
    return scale().id === "trend" ? Boolean(data.trend) : Boolean(data[about.months[month]]);
  }

  // Longitude and latitude of a place in cells: linear between knots.
  function degrees(row, col) {
    const knots = about.knots;
    if (!knots) return null;
    const side = knots.side, y = row / about.rows * (side - 1), x = col / about.cols * (side - 1);
    const top = clamp(Math.floor(y), 0, side - 2), left = clamp(Math.floor(x), 0, side - 2);
    const mix = (list) => {
      const at = (r, c) => list[r * side + c], u = x - left, v = y - top;
      return (1 - v) * ((1 - u) * at(top, left) + u * at(top, left + 1))
        + v * ((1 - u) * at(top + 1, left) + u * at(top + 1, left + 1));
    };
    return { lon: mix(knots.lon), lat: mix(knots.lat) };
  }

  function kilometres(a, b) {
    const rad = Math.PI / 180, dlat = (b.lat - a.lat) * rad, dlon = (b.lon - a.lon) * rad;
    const h = Math.sin(dlat / 2) ** 2
      + Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * Math.sin(dlon / 2) ** 2;
    return 2 * 6371 * Math.asin(Math.sqrt(h));
  }

  function place(at) {
    const row = Math.floor(at / about.cols), col = at % about.cols;
    const middle = degrees(row + 0.5, col + 0.5);
    let text, nearest = null;
    if (middle) {
      text = `${Math.abs(middle.lat).toFixed(4)}° ${middle.lat < 0 ? "S" : "N"}, `
        + `${Math.abs(middle.lon).toFixed(4)}° ${middle.lon < 0 ? "W" : "E"}`;
      for (const site of about.sites) {
        const far = kilometres(middle, site);
        if (!nearest || far < nearest.far) nearest = { site, far };
      }
    } else {
      const [left, right, bottom, top] = about.extent;
      text = `x ${(left + (col + 0.5) / about.cols * (right - left)).toFixed(1)}, `
        + `y ${(top - (row + 0.5) / about.rows * (top - bottom)).toFixed(1)}`;
    }
    return { row, col, text, nearest };
  }

  // ---- picture ----
  function rgb(hex) {
    const list = [];
    for (let n = 0; n < hex.length; n += 2) list.push(parseInt(hex.slice(n, n + 2), 16));
    return list;
  }

  function paint() {
    const { low, high, colours, id } = scale(), table = rgb(colours), last = table.length / 3 - 1;
    const image = new ImageData(about.cols, about.rows), here = ready();
    const which = about.calendar.indexOf(about.months[month].slice(5, 7));
    for (let at = 0; at < about.rows * about.cols; at++) {
      if (area[at] === MISSING) continue;
      const found = here ? value(id, month, at) : NaN;
      let colour = GREY;
      if (!Number.isNaN(found)) {
        const n = 3 * Math.round(clamp((found - low) / (high - low), 0, 1) * last);
        colour = [table[n], table[n + 1], table[n + 2]];
      }
      image.data.set(colour, 4 * at);
      const sure = id !== "trend" || !data.trend || which < 0
        || stored(data.trend.significant[which], about.steps.significant, at) >= 0.5;
      image.data[4 * at + 3] = sure || colour === GREY ? 255 : 90;
    }
    picture.getContext("2d").putImageData(image, 0, 0);
  }

  function seen() {
    const width = ui.map.width, height = ui.map.height;
    const half = 0.5 / view.zoom;
    view.x = clamp(view.x, half, 1 - half);
    view.y = clamp(view.y, half, 1 - half);
    return { wide: width * view.zoom, high: height * view.zoom,
      left: width / 2 - view.x * width * view.zoom, top: height / 2 - view.y * height * view.zoom };
  }

  function draw() {
    const box = ui.frame.clientWidth, ratio = window.devicePixelRatio || 1;
    const tall = about.rows * about.aspect / about.cols, most = Math.min(box, 0.8 * innerHeight / tall);
    ui.map.style.width = `${most}px`;
    ui.map.style.height = `${most * tall}px`;
    ui.map.width = Math.round(most * ratio);
    ui.map.height = Math.round(most * tall * ratio);
    ui.map.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
    const pen = ui.map.getContext("2d"), { wide, high, left, top } = seen();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture, left, top, wide, high);
    const across = wide / about.cols, down = high / about.rows, thin = ratio;
    const at = (row, col) => [left + col * across, top + row * down];
    for (const site of about.sites) {
      const [x, y] = at(site.row, site.col), size = 4 * ratio;
      pen.beginPath();
      pen.moveTo(x, y - size);
      pen.lineTo(x + size, y + size);
      pen.lineTo(x - size, y + size);
      pen.closePath();
      pen.fillStyle = "#ffffffcc";
      pen.fill();
      pen.lineWidth = 1.3 * thin;
      pen.strokeStyle = GREEN;
      pen.stroke();
    }
    const [x, y] = at(Math.floor(cell / about.cols) + 0.5, cell % about.cols + 0.5);
    for (const [colour, line] of [["#fff", 4], ["#1c1c1c", 1.6]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = line * thin;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        pen.moveTo(x + 4 * dx * ratio, y + 4 * dy * ratio);
        pen.lineTo(x + 15 * dx * ratio, y + 15 * dy * ratio);
      }
      pen.stroke();
    }
    bar(across * ratio ** -1);
  }

  // The length of the scale bar: 1, 2 or 5 times a power of ten, at most a quarter of the map.
  function bar(pixels) {
    const metre = pixels / (about.cell * about.factor), most = ui.map.clientWidth / 4 / metre;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].find((n) => n * power <= most) * power;
    ui.bar.style.width = `${length * metre}px`;
    ui.length.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  function legend() {
    const { low, high, colours, unit, label, id } = scale(), stops = colours.match(/.{6}/g);
    ui.colours.style.background = `linear-gradient(to right,${stops.map((c) => `#${c}`).join()})`;
    const middle = (low + high) / 2, short = id === "trend" ? 4 : 2;
    ui.ticks.replaceChildren(...[low, middle, high].map((v) => make("span", {}, printed(v, short))));
    ui.of.textContent = unit ? `${label} (${unit})` : label;
    ui.pale.hidden = id !== "trend";
  }

  // ---- the place ----
  function tell() {
    const here = place(cell), { id, unit, label } = scale(), found = value(id, month, cell);
    const when = id === "trend" ? NAMES[+about.months[month].slice(5, 7) - 1] : named(about.months[month]);
    let text = !ready() ? "is being loaded" : Number.isNaN(found) ? "no value"
      : `${printed(found, digits())} ${unit}`.trim();
    if (id === "map" && !Number.isNaN(found)) {
      text += ` (interval ${printed(value("lower", month, cell))} to `
        + `${printed(value("upper", month, cell))})`;
    }
    if (id === "di" && !Number.isNaN(found)) {
      text += `, ${found <= about.threshold ? "inside" : "outside"} the area of applicability `
        + `(at most ${printed(about.threshold, 2)})`;
    }
    ui.told.textContent = `${label}, ${when}: ${text}`;
    ui.where.textContent = `Cell at ${here.text}`;
    if (here.nearest) {
      const { site, far } = here.nearest, mean = site.values[month];
      ui.station.textContent = `Nearest station: ${site.name}, ${far.toFixed(1)} km away; `
        + `${named(about.months[month])}: `
        + (mean === null ? "no mean" : `${printed(mean)} ${about.unit}`)
        + ". A station is a point.";
    }
    return here;
  }

  function series(here) {
    if (about.months.length < 2) return;
    const wide = Math.max(280, ui.chart.clientWidth), high = 230, left = 44, right = 8, top = 22, low = 24;
    const years = about.months.map((name) => name.slice(0, 4)), xs = [];
    let x = 0;
    years.forEach((year, n) => xs.push(n ? (x += year === years[n - 1] ? 1 : 1.8) : 0));
    const list = (id) => about.months.map((_, n) => value(id, n, cell));
    const own = list("map"), lower = list("lower"), upper = list("upper");
    const smci = about.layers.includes("smci") ? list("smci") : [];
    const site = here.nearest ? here.nearest.site.values.map((v) => v === null ? NaN : v) : [];
    const every = [own, lower, upper, smci, site].flat().filter((v) => !Number.isNaN(v));
    const least = every.length ? Math.min(...every) : 0, most = every.length ? Math.max(...every) : 1;
    const gap = (most - least || 0.1) * 0.06;
    const px = (n) => left + (xs[n] + 0.5) / (x + 1) * (wide - left - right);
    const py = (v) => top + (most + gap - v) / (most - least + 2 * gap || 1) * (high - top - low);
    const half = 0.5 / (x + 1) * (wide - left - right);
    const parts = [];
    const runs = (known) => { // months that follow each other within a year
      const found = [];
      about.months.forEach((_, n) => {
        if (Number.isNaN(known[n])) return;
        const last = found[found.length - 1];
        if (last && last[last.length - 1] === n - 1 && years[n] === years[n - 1]) last.push(n);
        else found.push([n]);
      });
      return found;
    };
    const words = (px0, py0, text, anchor, extra) => make("text",
      { x: px0, y: py0, "text-anchor": anchor, ...extra }, text);
    const tested = about.months.map((name, n) => about.test.includes(name) ? n : -1).filter((n) => n >= 0);
    for (const n of tested) {
      const on = years[n + 1] === years[n] ? px(n + 1) + half : n + 1 < years.length
        && about.test.includes(about.months[n + 1]) ? px(n + 1) - half : px(n) + half;
      parts.push(make("rect", { x: px(n) - half, y: top, width: on - px(n) + half, height: high - top - low,
        class: "test" }));
    }
    if (tested.length) parts.push(words(px(tested[0]) - half + 2, top - 8, "not trained on", "start"));
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 50, 100].find((s) => (most - least + 2 * gap) / s <= 6) || 1000;
    for (let tick = Math.ceil((least - gap) / step); tick * step <= most + gap; tick++) {
      parts.push(make("line", { x1: left, x2: wide - right, y1: py(tick * step), y2: py(tick * step), class: "grid" }));
      parts.push(words(left - 5, py(tick * step) + 4, printed(tick * step, step < 0.1 ? 2 : step < 1 ? 1 : 0), "end"));
    }
    parts.push(words(left - 40, top - 8, about.unit, "start"));
    const crowded = (wide - left) / new Set(years).size < 34;
    years.forEach((year, n) => {
      if (year !== years[n - 1] && !(crowded && +year % 2)) parts.push(words(px(n) - half, high - 8, year, "start"));
    });
    parts.push(make("line", { x1: px(month), x2: px(month), y1: top, y2: high - low, class: "now" }));
    const both = lower.map((v, n) => v + upper[n]);
    for (const run of runs(both)) {
      const edge = run.map((n) => `${px(n)},${py(upper[n])}`).concat(run.slice().reverse().map((n) => `${px(n)},${py(lower[n])}`));
      parts.push(run.length > 1 ? make("polygon", { points: edge.join(" "), class: "band" })
        : make("line", { x1: px(run[0]), x2: px(run[0]), y1: py(lower[run[0]]), y2: py(upper[run[0]]), class: "bandline" }));
    }
    const line = (values, colour, dash) => {
      for (const run of runs(values)) {
        const path = run.map((n, k) => `${k ? "L" : "M"}${px(n)} ${py(values[n])}`).join("");
        parts.push(make("path", { d: path, stroke: colour, fill: "none", "stroke-width": 1.6, "stroke-dasharray": dash }));
        for (const n of run) parts.push(make("circle", { cx: px(n), cy: py(values[n]), r: 1.9, fill: colour }));
      }
    };
    line(smci, ORANGE, "4 3");
    line(own, BLUE, "none");
    site.forEach((v, n) => {
      if (!Number.isNaN(v)) parts.push(make("path", { d: `M${px(n)} ${py(v) - 4}l4 7h-8z`, fill: GREEN, class: "station" }));
    });
    const known = own.filter((v) => !Number.isNaN(v));
    const loaded = about.months.filter((name) => data[name]).length;
    const said = `Series of the cell: ${known.length} months with a value`
      + (known.length ? `, ${printed(Math.min(...known))} to ${printed(Math.max(...known))} ${about.unit}` : "");
    const svg = make("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "img", "aria-label": said,
      onclick: (event) => {
        const at = (event.clientX - svg.getBoundingClientRect().left) * wide / svg.clientWidth;
        choose(xs.reduce((best, _, n) => Math.abs(px(n) - at) < Math.abs(px(best) - at) ? n : best, 0));
      } }, ...parts);
    ui.chart.replaceChildren(svg);
    ui.progress.textContent = loaded < about.months.length
      ? `${loaded} of ${about.months.length} months loaded` : "";
    ui.key.replaceChildren(
      make("span", { class: "mark line", style: `color:${BLUE}` }), "map ",
      make("span", { class: "mark band" }), "its interval ",
      ...(smci.length ? [make("span", { class: "mark dash", style: `color:${ORANGE}` }), "SMCI "] : []),
      ...(here.nearest ? [make("span", { class: "mark", style: `color:${GREEN}` }, "▲"),
        `station ${here.nearest.site.name}, ${here.nearest.far.toFixed(1)} km away`] : []));
    if (ui.numbers.open) table(own, lower, upper, smci, site);
  }

  function table(own, lower, upper, smci, site) {
    const shown = (list, n) => list.length && !Number.isNaN(list[n]) ? printed(list[n]) : "–";
    const columns = [["map", own], ["lower", lower], ["upper", upper]];
    if (smci.length) columns.push(["SMCI", smci]);
    if (site.length) columns.push(["station", site]);
    const row = (kind, cells) => make("tr", {}, ...cells.map((text) => make(kind, {}, text)));
    ui.rows.replaceChildren(
      make("thead", {}, row("th", ["Month", ...columns.map((pair) => pair[0])])),
      make("tbody", {}, ...about.months.map((name, n) => row("td", [name, ...columns.map((pair) => shown(pair[1], n))]))));
  }

  function trends() {
    if (!about.calendar.length) return;
    const rows = about.calendar.map((name, n) => {
      const slope = data.trend ? stored(data.trend.slope[n], about.steps.slope, cell) : NaN;
      const share = data.trend ? stored(data.trend.significant[n], about.steps.significant, cell) : NaN;
      const sure = Number.isNaN(share) ? "not tested" : about.factor > 1 ? `in ${Math.round(100 * share)} % of its cells`
        : share >= 0.5 ? "yes" : "no";
      const shown = Number.isNaN(slope) ? "–" : (slope > 0 ? "+" : "") + printed(slope, 4);
      return make("tr", {}, make("td", {}, NAMES[+name - 1]), make("td", {}, shown), make("td", {}, sure));
    });
    ui.trend.replaceChildren(...rows);
  }

  // ---- what people do ----
  function refresh() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      root.dataset.left = about.months.filter((name) => !data[name]).length + (about.calendar.length && !data.trend ? 1 : 0);
      paint();
      draw();
      legend();
      series(tell());
      trends();
    });
  }

  function choose(n) {
    month = clamp(n, 0, about.months.length - 1);
    ui.slider.value = month;
    ui.slider.setAttribute("aria-valuetext", named(about.months[month]));
    ui.month.textContent = named(about.months[month]);
    load(about.months[month]);
    refresh();
  }

  function pick(row, col) {
    cell = clamp(Math.floor(row), 0, about.rows - 1) * about.cols + clamp(Math.floor(col), 0, about.cols - 1);
    const x = (cell % about.cols + 0.5) / about.cols, y = (Math.floor(cell / about.cols) + 0.5) / about.rows;
    const half = 0.45 / view.zoom;
    view.x = clamp(view.x, x - half, x + half);
    view.y = clamp(view.y, y - half, y + half);
    refresh();
  }

  function zoom(by, x = view.x, y = view.y) {
    const before = view.zoom;
    view.zoom = clamp(before * by, 1, 16);
    view.x = x + (view.x - x) * before / view.zoom;
    view.y = y + (view.y - y) * before / view.zoom;
    refresh();
  }

  function play() {
    playing = playing ? clearInterval(playing) : setInterval(() => {
      if (data[about.months[month]]) choose((month + 1) % about.months.length);
    }, still ? 2000 : 700);
    ui.play.textContent = playing ? "❚❚" : "▶";
    ui.play.setAttribute("aria-label", playing ? "Stop" : "Play the months");
  }

  function share(event) { // of the map, under a pointer
    const box = ui.map.getBoundingClientRect(), { wide, high, left, top } = seen();
    return { x: ((event.clientX - box.left) / box.width * ui.map.width - left) / wide,
      y: ((event.clientY - box.top) / box.height * ui.map.height - top) / high };
  }

  function pointers() {
    const down = new Map();
    let moved = false;
    ui.map.addEventListener("pointerdown", (event) => {
      down.set(event.pointerId, event);
      moved = down.size > 1;
    });
    ui.map.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const far = Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      if (down.size === 1 && far < 5 && !moved) return;
      if (down.size === 2) {
        const other = [...down.values()].find((one) => one.pointerId !== event.pointerId);
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        const { x, y } = share(other);
        zoom(apart(event) / Math.max(1, apart(before)), x, y);
      } else if (view.zoom > 1) {
        ui.map.setPointerCapture(event.pointerId);
        const box = ui.map.getBoundingClientRect();
        view.x -= (event.clientX - before.clientX) / box.width / view.zoom;
        view.y -= (event.clientY - before.clientY) / box.height / view.zoom;
        refresh();
      }
      moved = true;
      down.set(event.pointerId, event);
    });
    ui.map.addEventListener("pointerup", (event) => {
      if (down.delete(event.pointerId) && !moved) {
        const { x, y } = share(event);
        pick(y * about.rows, x * about.cols);
      }
    });
    for (const end of ["pointercancel", "pointerleave"]) ui.map.addEventListener(end, (event) => down.delete(event.pointerId));
    ui.map.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== ui.map) return;
      event.preventDefault();
      const { x, y } = share(event);
      zoom(event.deltaY < 0 ? 1.25 : 0.8, x, y);
    }, { passive: false });
  }

  function keys(event) {
    const far = event.shiftKey ? 10 : 1, row = Math.floor(cell / about.cols), col = cell % about.cols;
    const done = {
      ArrowUp: () => pick(row - far, col), ArrowDown: () => pick(row + far, col),
      ArrowLeft: () => pick(row, col - far), ArrowRight: () => pick(row, col + far),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
      PageUp: () => choose(month + 1), PageDown: () => choose(month - 1),
    }[event.key];
    if (!done || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    done();
  }

  function build() {
    const several = about.months.length > 1;
    const select = make("select", { id: "viewer-product", onchange: () => { product = +select.value; refresh(); } },
      ...about.scales.map((one, n) => make("option", { value: n }, one.label)));
    ui.slider = make("input", { id: "viewer-month", type: "range", min: 0, max: about.months.length - 1, step: 1,
      oninput: () => choose(+ui.slider.value) });
    ui.month = make("output", { for: "viewer-month", id: "viewer-shown" });
    const button = (text, label, act) => make("button", { type: "button", "aria-label": label, onclick: act }, text);
    ui.play = button("▶", "Play the months", play);
    const time = make("div", { class: "time" }, make("label", { for: "viewer-month" }, "Month"), ui.play,
      button("‹", "Month before", () => choose(month - 1)), ui.slider, button("›", "Month after", () => choose(month + 1)), ui.month);
    ui.map = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "map", onkeydown: keys,
      "aria-label": "Map. Arrow keys move the cross, with shift ten cells; plus and minus zoom; page keys change the month." });
    ui.bar = make("span", { class: "bar" });
    ui.length = make("span", {});
    ui.frame = make("div", { class: "frame" }, ui.map);
    ui.colours = make("div", { class: "colours" });
    ui.ticks = make("div", { class: "ticks" });
    ui.of = make("div", {});
    ui.pale = make("div", { class: "note" }, "Pale: not significant.");
    ui.told = make("p", { class: "told", role: "status", "aria-live": "polite" });
    ui.where = make("p", { class: "where" });
    ui.station = make("p", { class: "where" });
    ui.chart = make("div", { class: "chart" });
    ui.key = make("p", { class: "key" });
    ui.progress = make("p", { class: "note" });
    ui.rows = make("table", {});
    ui.numbers = make("details", { ontoggle: refresh }, make("summary", {}, "These numbers as a table"), make("div", { class: "wide" }, ui.rows));
    ui.trend = make("tbody", {});
    const trend = make("table", { class: "trend" },
      make("caption", {}, "Trend of each calendar month at this place, by least squares. Significant: where the false "
        + "discoveries over the whole area are held at 10 % (Benjamini–Hochberg)."),
      make("thead", {}, make("tr", {}, ...["Month", `${about.unit} per year`, "significant"].map((text) => make("th", { scope: "col" }, text)))),
      ui.trend);
    const across = about.factor * about.cell, length = across >= 1000 ? `${(across / 1000).toFixed(2)} km` : `${across.toFixed(0)} m`;
    const shown = about.factor > 1 ? `Overview: each cell shown (${length}) is the mean of ${about.factor} × ${about.factor} cells of the map. `
      : `Every cell of the map (${length}). `;
    const note = make("p", { class: "note" }, `${shown}Values in steps of ${about.steps.map} ${about.unit}; colours end at the `
      + "1 and 99 % points. Grey: no value. The rasters are the product."
      + (about.sites.length ? " Triangles: stations." : "") + (about.note ? ` All values are of ${about.note}.` : ""));
    const left = make("div", { class: "left" }, ui.frame,
      make("div", { class: "under" }, make("span", { class: "length" }, ui.bar, ui.length),
        make("span", {}, button("−", "Zoom out", () => zoom(1 / 1.5)), button("+", "Zoom in", () => zoom(1.5)))),
      make("div", { class: "legend" }, ui.of, ui.colours, ui.ticks, ui.pale));
    const side = make("div", { class: "right" }, ui.told, ui.where, ui.station);
    if (several) side.append(ui.chart, ui.key, ui.progress, ui.numbers);
    if (about.calendar.length) side.append(make("div", { class: "wide" }, trend));
    root.append(make("div", { class: "controls" },
      make("div", { class: "what" }, make("label", { for: "viewer-product" }, "Shown"), select), several ? time : ui.month),
    make("div", { class: "both" }, left, side), note);
  }

  async function begin(given) {
    about = given;
    ui.trouble.hidden = true;
    if (!window.DecompressionStream) return complain("This browser is too old for the maps (no DecompressionStream): use one of 2023 or later.");
    [area] = await unpacked(about.inside, 1);
    picture = make("canvas", { width: about.cols, height: about.rows });
    build();
    pointers();
    // The cross begins at the station nearest to the middle, or in the middle.
    const middle = (site) => Math.hypot(site.row - about.rows / 2, site.col - about.cols / 2);
    const inside = about.sites.filter((site) => site.row >= 0 && site.row < about.rows && site.col >= 0 && site.col < about.cols);
    const first = inside.sort((a, b) => middle(a) - middle(b))[0];
    new ResizeObserver(refresh).observe(root);
    pick(first ? first.row : about.rows / 2, first ? first.col : about.cols / 2);
    const last = about.months[about.months.length - 1].slice(0, 4);
    const year = about.months.map((name, n) => name.startsWith(last) ? n : -1).filter((n) => n >= 0);
    choose(year[Math.floor(year.length / 2)]);
  }

  ui = { trouble: make("p", { class: "trouble", role: "alert" }, "layers/index.js is not here: copy the whole folder of this page.") };
  root.append(ui.trouble);
  window.soilMoisture = { begin, take };
})();
