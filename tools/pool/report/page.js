
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const all = (what, where = document) => Array.from(where.querySelectorAll(what));
  const digits = new Intl.NumberFormat("en");
  const plural = (n, one, many) => digits.format(n) + " " + (n === 1 ? one : many);
  const make = (name, text) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  root.classList.add("scripted");

  /* Colours: remembered where the browser lets a file remember. */
  const remember = (key, value) => {
    try {
      if (value === undefined) return localStorage.getItem(key);
      localStorage.setItem(key, value);
    } catch { /* a file may not: the choice is for this view only */ }
    return null;
  };
  const theme = document.getElementById("theme-" + remember("xenlevel-theme"));
  if (theme) theme.checked = true;
  for (const input of all(".theme input"))
    input.addEventListener("change", () => remember("xenlevel-theme", input.value));

  /* The VMs of each class of guests, and of each host. */
  const vms = data.guests.map(() => []);
  for (const host of data.hosts)
    for (const vm of host.vms) vms[vm.guest].push([vm.name, host.name, vm.usage]);
  const kindHosts = data.kinds.map(() => []);
  for (const host of data.hosts) kindHosts[host.kind].push(host.name);

  /* A list of names is written in full when somebody opens it. */
  const fill = (details) => {
    const list = details.querySelector("ul");
    if (details.dataset.filled || !list) return;
    details.dataset.filled = "yes";
    const names = details.dataset.guest !== undefined
      ? vms[details.dataset.guest].map(([name, host, usage]) => `${name} on ${host}${usage ? `: ${usage}` : ""}`)
      : kindHosts[details.dataset.kind];
    list.replaceChildren(...names.map((name) => make("li", name)));
  };
  for (const details of all("details[data-guest], details[data-kind]"))
    details.addEventListener("toggle", () => details.open && fill(details));

  /* The heat map: one stop for the Tab key, arrows inside, and the reason beside the cell. */
  const why = document.getElementById("why");
  const words = { "yes": "Yes", "no": "No", "power cycle": "Only after a power cycle", "cannot say": "Cannot say" };
  const guestName = (guest) => `${guest.type} guests, ${guest.name}`;
  const cellTitle = (guest, kind, reason) =>
    `${words[reason.answer]}: ${guestName(guest)} (${plural(guest.vms, "VM", "VMs")}) ` +
    `on kind ${kind.name}, ${kind.cpu} (${plural(kind.hosts, "host", "hosts")})`;
  const cellText = (guest, kind, reason) => {
    const here = guest.here[data.kinds.indexOf(kind)];
    return (reason.text ? reason.text + " " : "") +
      (here ? `${plural(here, "of these VMs is", "of these VMs are")} there now.` : "");
  };
  let shown = null;
  const hide = () => {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    why.hidden = true;
  };
  /* Right of the map, where it hides no cell; where there is no room, below or above the cell. */
  const place = (cell) => {
    const box = cell.getBoundingClientRect(), right = cell.closest("tr").getBoundingClientRect().right;
    const width = root.clientWidth, height = root.clientHeight;
    const room = width - right - 28;
    why.style.maxWidth = room >= 240 ? `${Math.min(room, 480)}px` : "";
    const own = why.getBoundingClientRect();
    const below = box.bottom + own.height + 10 < height || box.top < own.height + 10;
    const left = room >= 240 ? right + 12
      : Math.max(8, Math.min(box.left + box.width / 2 - own.width / 2, width - own.width - 8));
    const top = room >= 240 ? Math.max(8, Math.min(box.top, height - own.height - 8))
      : below ? box.bottom + 6 : box.top - own.height - 6;
    why.style.left = left + scrollX + "px";
    why.style.top = top + scrollY + "px";
  };
  const show = (cell) => {
    const guest = data.guests[cell.dataset.g], kind = data.kinds[cell.dataset.k];
    const reason = data.reasons[data.matrix[cell.dataset.g][cell.dataset.k]];
    hide();
    why.replaceChildren(make("strong", cellTitle(guest, kind, reason)), make("span", cellText(guest, kind, reason)));
    why.hidden = false;
    why.style.left = why.style.top = "0";
    place(cell);
    cell.setAttribute("aria-describedby", "why");
    shown = cell;
  };
  const heat = document.querySelector("table.heat");
  if (heat) {
    heat.setAttribute("role", "grid");
    const rows = all("tbody tr", heat).map((row) => all("td", row));
    let current = rows[0] && rows[0][0];
    rows.forEach((cells, r) => cells.forEach((cell, c) => {
      const reason = data.reasons[data.matrix[cell.dataset.g][cell.dataset.k]];
      cell.tabIndex = -1;
      cell.setAttribute("aria-label", cellTitle(data.guests[cell.dataset.g], data.kinds[cell.dataset.k], reason));
      cell.at = [r, c];
    }));
    if (current) current.tabIndex = 0;
    const go = (r, c) => {
      const cell = rows[Math.max(0, Math.min(r, rows.length - 1))];
      const next = cell[Math.max(0, Math.min(c, cell.length - 1))];
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
    };
    const steps = {
      ArrowUp: ([r, c]) => [r - 1, c], ArrowDown: ([r, c]) => [r + 1, c],
      ArrowLeft: ([r, c]) => [r, c - 1], ArrowRight: ([r, c]) => [r, c + 1],
      Home: ([r], e) => [e.ctrlKey ? 0 : r, 0],
      End: ([r], e) => [e.ctrlKey ? rows.length - 1 : r, rows[r].length - 1],
      PageUp: ([r, c]) => [r - 10, c], PageDown: ([r, c]) => [r + 10, c],
    };
    const cellOf = (e) => e.target instanceof Element ? e.target.closest("td") : null;
    heat.addEventListener("keydown", (e) => {
      const cell = cellOf(e), step = steps[e.key];
      if (!cell || !step || e.altKey || e.metaKey) return;
      e.preventDefault();
      go(...step(cell.at, e));
    });
    heat.addEventListener("focusin", (e) => {
      const cell = cellOf(e);
      if (!cell) return;
      current.tabIndex = -1;
      current = cell;
      cell.tabIndex = 0;
      show(cell);
    });
    heat.addEventListener("focusout", hide);
    heat.addEventListener("mouseover", (e) => {
      const cell = cellOf(e);
      if (cell && cell !== shown) show(cell);
    });
    heat.addEventListener("mouseleave", () => current === document.activeElement ? show(current) : hide());
    document.addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });
    addEventListener("resize", () => shown && place(shown));
  }

  /* The graph: what can be reached from the kinds under the pointer or in focus. */
  const label = (group) => group.kinds.length > 6
    ? `${data.kinds[group.kinds[0]].cpu} (${group.kinds.length} kinds)`
    : group.kinds.map((k) => data.kinds[k].name).join(", ");
  for (const svg of all("svg[data-graph]")) {
    const graph = data.graphs[svg.dataset.graph];
    const sentence = svg.closest("section").querySelector(`[data-sentence="${svg.dataset.graph}"]`);
    const resting = sentence.textContent;
    const look = (node) => {
      const at = Number(node.dataset.group), group = graph.groups[at];
      const to = group.to.filter((other) => other !== at), some = group.some_to.filter((other) => other !== at);
      const unknown = group.cannot_say_to.filter((other) => other !== at);
      const ends = new Set([at, ...to, ...some]);
      const from = graph.groups.filter((other) => other !== group && other.to.includes(at));
      svg.classList.add("looking");
      for (const other of all("a", svg)) other.classList.toggle("on", ends.has(Number(other.dataset.group)));
      for (const edge of all(".edge", svg)) {
        const a = Number(edge.dataset.from), b = Number(edge.dataset.to);
        edge.classList.toggle("on", ends.has(a) && ends.has(b) && (edge.classList.contains("both") || a === at || to.includes(a) || some.includes(a)));
      }
      const list = (groups) => groups.map(label).join("; ") || "no other kind";
      const numbered = (numbers) => list(numbers.map((number) => graph.groups[number]));
      sentence.textContent = `Guests born on ${label(group)} can also run on: ${numbered(to)}. ` +
        (some.length ? `Some of them, or on some hosts of: ${numbered(some)}. ` : "") +
        (unknown.length ? `Nobody can say: ${numbered(unknown)}. ` : "") +
        `All guests born there can come: ${list(from)}.`;
    };
    const rest = () => {
      svg.classList.remove("looking");
      sentence.textContent = resting;
    };
    for (const node of all("a", svg)) {
      node.addEventListener("focus", () => look(node));
      node.addEventListener("blur", rest);
      node.addEventListener("mouseenter", () => look(node));
      node.addEventListener("mouseleave", rest);
    }
  }

  /* The table of hosts: a filter, and an order. */
  const table = document.getElementById("host-table");
  if (table) {
    const body = table.tBodies[0], rows = Array.from(body.rows);
    const filter = document.getElementById("filter"), found = document.getElementById("found");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    filter.addEventListener("input", () => {
      const parts = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      rows.forEach((row, i) => {
        row.hidden = !parts.every((part) => texts[i].includes(part));
        if (!row.hidden) n++;
      });
      found.textContent = parts.length ? `${n} of ${plural(rows.length, "host", "hosts")}` : "";
    });
    const value = (row, i) => {
      const cell = row.cells[i];
      return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.trim().toLowerCase();
    };
    all("thead th", table).forEach((head, i) => {
      const button = make("button", head.textContent);
      button.type = "button";
      button.title = "Sort by this column";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
        rows.slice().sort((a, b) => {
          const x = value(a, i), y = value(b, i);
          return down * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
        }).forEach((row) => body.append(row));
      });
    });
  }

  /* On paper nothing is closed, but for lists of names. */
  addEventListener("beforeprint", () => {
    for (const details of all("details:not([data-guest]):not([data-kind])")) details.open = true;
  });
})();
