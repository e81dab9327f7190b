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
