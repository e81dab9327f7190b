// The theme, and what the other scripts share. No library, no request.
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
