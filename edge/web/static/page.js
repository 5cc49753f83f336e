// What keeps an open page true: the agent's events, by server-sent events. Everything else works without this file.
"use strict";

const root = document.documentElement.dataset.root;
const place = (id) => document.getElementById(id);

function say(text) {
  const heard = place("heard");
  if (heard) heard.textContent = text;
}

function progress(told) {
  const box = place("progress");
  if (!box) return;
  const under_way = Boolean(told && told.job);
  box.hidden = !under_way;
  if (!under_way) return;
  place("progress-told").textContent = [told.job, told.scene, told.what].filter(Boolean).join(" · ");
  const bar = place("progress-bar");
  if (told.of > 0) {
    bar.max = told.of;
    bar.value = Math.min(told.done, told.of);
  } else {
    bar.removeAttribute("value");
  }
}

const listeners = { progress: [progress], state: [], behavior: [], alert: [] };
// A page's own script may listen, too.
window.hear = (topic, listener) => listeners[topic].push(listener);

let under_way = null;
function state(told) {
  for (const [id, key] of [["scene", "scene"], ["model", "slot"]]) {
    if (place(id) && told[key]) place(id).textContent = told[key];
  }
  progress(told.progress);
  // What a page says of a job that has ended is old: take it anew, unless somebody is typing.
  const busy = Boolean(told.busy);
  const typing = document.activeElement && ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (under_way === true && !busy && !typing && place("progress")) location.reload();
  under_way = busy;
}
listeners.state.push(state);
listeners.alert.push((told) => say(told.sentence));

if (place("heard") && window.EventSource && !place("token")) {
  const events = new EventSource(`${root}/events`);
  for (const topic of Object.keys(listeners)) {
    events.addEventListener(topic, (event) => {
      const told = JSON.parse(event.data);
      for (const listener of listeners[topic]) listener(told);
    });
  }
  window.addEventListener("pagehide", () => events.close());
}
