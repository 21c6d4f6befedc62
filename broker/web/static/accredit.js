// Comfort only: every page works without it.

// Copy buttons: `data-copy` names the element whose text goes to the clipboard.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = button.textContent;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}

// Tabs: sections that stand one below the other become tabs (WAI-ARIA Authoring Practices, "tabs").
for (const group of document.querySelectorAll("[data-tabs]")) {
  const panels = [...group.querySelectorAll("[data-tab]")];
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", group.dataset.tabs);
  const tabs = panels.map((panel) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${panel.id}`;
    tab.textContent = panel.dataset.tab;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });
  const choose = (chosen) => tabs.forEach((tab, index) => {
    tab.setAttribute("aria-selected", String(index === chosen));
    tab.tabIndex = index === chosen ? 0 : -1;
    panels[index].hidden = index !== chosen;
  });
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(index));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const next = (index + step + tabs.length) % tabs.length;
      choose(next);
      tabs[next].focus();
    });
  });
  group.prepend(list);
  choose(0);
}

// What is left of credentials: `datetime` is their end.
for (const clock of document.querySelectorAll("time[data-left]")) {
  const end = Date.parse(clock.dateTime);
  const show = () => {
    const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    clock.textContent = seconds ? parts.map((part) => String(part).padStart(2, "0")).join(":") : "expired";
  };
  show();
  setInterval(show, 1000);
}

// Lists that are filtered while one types.
for (const input of document.querySelectorAll("[data-filter]")) {
  const items = [...document.querySelectorAll(`${input.dataset.filter} > li`)];
  const count = document.getElementById("found");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const item of items) {
      item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
      found += item.hidden ? 0 : 1;
    }
    if (count) count.textContent = `${found} of ${items.length}`;
  });
}

// Messages for an identity provider: a form that is sent, or an address that is followed, at once.
document.querySelector("form[data-send]")?.requestSubmit();
const followed = document.querySelector("a[data-follow]");
if (followed) location.replace(followed.href);
