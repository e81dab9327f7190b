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
