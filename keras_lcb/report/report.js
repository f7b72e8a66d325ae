"use strict";
// Sorts a table by the column whose heading is pressed; empty cells stay last.
for (const table of document.querySelectorAll("table.layers")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      const key = (row) => row.cells[column].dataset.value ?? "";
      const numeric = heading.classList.contains("number");
      const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (a === "" || b === "") return (a === "") - (b === "");
        return down ? compare(b, a) : compare(a, b);
      });
      body.append(...rows);
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
