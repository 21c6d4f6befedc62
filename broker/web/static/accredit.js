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

// Search while one types: `data-live` names the part of the page that the answer replaces.
for (const form of document.querySelectorAll("form[data-live]")) {
  let waiting = 0;
  let latest = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const mine = ++latest;
      const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
      const answer = await fetch(address, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected || mine !== latest) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById(form.dataset.live).replaceChildren(...page.getElementById(form.dataset.live).childNodes);
    }, 150);
  });
}

// Security keys and passkeys (W3C Web Authentication): `data-passkey` is where the options come from.
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const listed = (keys) => (keys || []).map((key) => ({ ...key, id: bytes(key.id) }));

const askKey = async (options) => {
  if (options.user) {
    return navigator.credentials.create({ publicKey: { ...options, challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: listed(options.excludeCredentials) } });
  }
  return navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge),
    allowCredentials: listed(options.allowCredentials) } });
};

const told = (key) => {
  const response = { clientDataJSON: text(key.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (key.response[name]) response[name] = text(key.response[name]);
  }
  if (key.response.getTransports) response.transports = key.response.getTransports();
  return { id: key.id, rawId: text(key.rawId), type: key.type, response, clientExtensionResults: {} };
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const problem = form.querySelector("[role=alert]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    try {
      const answer = await fetch(form.dataset.passkey, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer.ok) throw new Error("Please reload the page and try again.");
      form.elements.answer.value = JSON.stringify(told(await askKey(await answer.json())));
      HTMLFormElement.prototype.submit.call(form);
    } catch (error) {
      problem.textContent = error.name === "NotAllowedError" ? "The security key was not used in time, or said no."
        : error.name === "InvalidStateError" ? "This security key is registered already." : error.message;
      problem.hidden = false;
    }
  });
}
