// Theme, tabs, tables of numbers and downloads. No library, no request.
"use strict";
const root = document.documentElement;
const numbers = JSON.parse(document.getElementById("numbers").textContent);
root.classList.add("scripted");

// Theme: the system's, until the reader chooses.
{
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${dark() ? "light" : "dark"} colours`);
    dispatchEvent(new Event("recoloured"));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  button.hidden = false;
  label();
}

// Tabs: links without this script. Hidden ones are still found by the browser's search.
{
  const bar = document.getElementById("tabs");
  const tabs = [...bar.querySelectorAll("a")];
  const panel = (tab) => document.getElementById(tab.hash.slice(1));
  const show = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      if (tab === chosen) panel(tab).removeAttribute("hidden");
      else panel(tab).setAttribute("hidden", "until-found");
    }
  };
  const named = (hash) => tabs.find((tab) => tab.hash === hash);
  const choose = (tab) => {
    show(tab);
    history.replaceState(null, "", tab.hash);
  };
  bar.setAttribute("role", "tablist");
  for (const [at, tab] of tabs.entries()) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", tab.hash.slice(1));
    panel(tab).setAttribute("role", "tabpanel");
    panel(tab).addEventListener("beforematch", () => choose(tab));
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      choose(tab);
    });
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
      if (event.key === " ") choose(tab);
      else if (event.key in steps) {
        const next = tabs[steps[event.key] % tabs.length];
        choose(next);
        next.focus();
      } else return;
      event.preventDefault();
    });
  }
  show(named(location.hash) || tabs[0]);
  addEventListener("hashchange", () => named(location.hash) && show(named(location.hash)));
  addEventListener("beforeprint", () => document.querySelectorAll("details:not(.numbers)").forEach((d) => (d.open = true)));
}

// Numbers: tables when opened, CSV and JSON when asked for.
{
  const cell = (value) => (value === null ? "" : String(value));
  const quoted = (value) => (/[",\n]/.test(cell(value)) ? `"${cell(value).replaceAll('"', '""')}"` : cell(value));
  const records = ({ columns, rows }) => rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
  const csv = ({ columns, rows }) => [columns, ...rows].map((row) => row.map(quoted).join(",") + "\n").join("");
  const save = (name, kind, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const all = () => Object.fromEntries(Object.entries(numbers).map(([name, found]) => [name, records(found)]));
  for (const button of document.querySelectorAll(".save button")) {
    button.addEventListener("click", () => {
      const key = button.parentElement.dataset.numbers;
      if (button.dataset.form === "csv") save(`${key}.csv`, "text/csv", csv(numbers[key]));
      else save(`${key || "report"}.json`, "application/json", JSON.stringify(key ? records(numbers[key]) : all(), null, 1) + "\n");
    });
  }
  for (const details of document.querySelectorAll("details.numbers")) {
    details.addEventListener("toggle", () => {
      if (details.children.length > 1) return;
      const { columns, rows } = numbers[details.dataset.numbers];
      const wide = document.createElement("div");
      const table = wide.appendChild(document.createElement("table"));
      const head = table.createTHead().insertRow();
      for (const name of columns) {
        const th = head.appendChild(document.createElement("th"));
        th.scope = "col";
        th.textContent = name;
      }
      const body = table.createTBody();
      for (const row of rows) {
        const line = body.insertRow();
        for (const value of row) line.insertCell().textContent = cell(value);
      }
      wide.className = "wide";
      wide.tabIndex = 0;
      details.append(wide);
    });
  }
}
