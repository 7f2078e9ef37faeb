// The pair of tokens of whoever is signed in: kept in memory, renewed in time, and handed over when a page follows a page.

import { Refusal, answered } from "./answers.js";

const KEY = "session";
const EARLY_MS = 60_000;
const LATEST_MS = 5_000;
const AGAIN_MS = 15_000;

// { access, refresh, endsAt }, or null. Nothing is kept where a copy of the tab, or who reads its storage, would find it.
let pair = taken();
let renewal = null;
let timer = 0;

export const isSignedIn = () => pair !== null;

export async function signIn(username, password) {
  keep(await posted("/auth/token", { username, password }));
}

/** Over here at once, and on the server too; fails when that cannot be told. */
export async function signOut() {
  const refresh = pair?.refresh;
  forget();
  // Whoever signs out and closes the tab is signed out all the same.
  if (refresh) await posted("/auth/logout", { refresh_token: refresh }, { keepalive: true });
}

export function forget() {
  clearTimeout(timer);
  pair = null;
}

/** Who is signed in, for what the page shows; what they may do is decided by the API alone. */
export function identity() {
  const claims = pair?.access.split(".")[1];
  if (!claims) return { name: "", roles: [] };
  const bytes = Uint8Array.from(atob(claims.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.codePointAt(0));
  const { sub: name, roles } = JSON.parse(new TextDecoder().decode(bytes));
  return { name, roles };
}

/** An access token for a request of now. A laptop that slept wakes up with an old one, so it may be renewed first. */
export async function accessToken() {
  if (!pair) throw new Refusal({ code: "security.unauthenticated" });
  if (pair.refresh && Date.now() > pair.endsAt - LATEST_MS) await renew();
  return pair.access;
}

/** Another access token after one was refused; false when there is none to be had. */
export async function renewed(refused) {
  if (!pair?.refresh) return false;
  // Of many requests that were refused together, the first has renewed it for all.
  if (pair.access === refused) await renew();
  return pair !== null;
}

// One renewal at a time: a refresh token that came twice would end the session.
function renew() {
  renewal ??= renewOnce().finally(() => { renewal = null; });
  return renewal;
}

async function renewOnce() {
  const old = pair;
  try {
    const fresh = await posted("/auth/refresh", { refresh_token: old.refresh });
    if (pair === old) keep(fresh);
  } catch (error) {
    if (pair === old && error instanceof Refusal && error.code === "security.session_ended") forget();
    throw error;
  }
}

const posted = async (path, fields, options = {}) =>
  answered(await fetch(path, { method: "POST", body: new URLSearchParams(fields), ...options }));

function keep({ access_token: access, expires_in: seconds, refresh_token: refresh }) {
  pair = { access, refresh, endsAt: Date.now() + 1000 * seconds };
  plan();
}

function plan(inMs = Math.max(pair.endsAt - Date.now() - EARLY_MS, 0)) {
  clearTimeout(timer);
  if (pair.refresh) timer = setTimeout(onTime, inMs);
}

// Refused for good, the next request says so; a server that is away for a moment is asked again.
const onTime = () => renew().catch(() => { if (pair) plan(AGAIN_MS); });

// From one page of the site to the next, and over a reload: put down by the page that goes, taken up by the one that comes.
function taken() {
  const kept = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  return kept && JSON.parse(kept);
}

addEventListener("pagehide", () => {
  if (pair) sessionStorage.setItem(KEY, JSON.stringify(pair));
  forget();
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) pair = taken();
  if (pair) plan();
  // Back to a page of somebody who has signed out since.
  else if (persisted) location.reload();
});
