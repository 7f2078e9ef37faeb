// The page as a client of the API: a token, GraphQL, pictures.

/** What the API refused: its stable code, its message and what to do. */
export class Refusal extends Error {
  constructor({ code = "", message = "", hint = "" } = {}) {
    super([message, hint].filter(Boolean).join(" "));
    this.code = code;
  }
}

export const needsSignIn = (error) => error instanceof Refusal && error.code === "security.unauthenticated";

// This tab only, and gone with it: a token is never kept in a cookie or on disk.
const token = () => sessionStorage.getItem("token");
export const isSignedIn = () => Boolean(token());
export const signOut = () => sessionStorage.removeItem("token");

export async function signIn(username, password) {
  const body = new URLSearchParams({ username, password });
  const { access_token: fresh } = await answered(await fetch("/auth/token", { method: "POST", body }));
  sessionStorage.setItem("token", fresh);
}

/** Who is signed in, for what the page shows; what they may do is decided by the API alone. */
export function identity() {
  const claims = token()?.split(".")[1];
  if (!claims) return { name: "", roles: [] };
  const bytes = Uint8Array.from(atob(claims.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.codePointAt(0));
  const { sub: name, roles } = JSON.parse(new TextDecoder().decode(bytes));
  return { name, roles };
}

/** The data that a GraphQL document gives; with `upload`, a picture goes along as the variable of that name. */
export async function ask(query, variables = {}, { upload, signal } = {}) {
  const request = upload ? form(query, variables, upload) : json({ query, variables });
  const { data, errors } = await authorised("/graphql", { method: "POST", signal, ...request });
  if (errors) throw new Refusal({ message: errors[0].message, ...errors[0].extensions });
  return data;
}

/** The picture of a product, or null when it has none. */
export async function picture(id, { signal } = {}) {
  const response = await fetch(`/files/${id}/image`, { headers: { Authorization: `Bearer ${token()}` }, signal });
  return response.ok ? response.blob() : null;
}

/** What search still waits for, as text, or "" when it is ready. */
export async function missing() {
  const { ready, parts } = await (await fetch("/readyz")).json();
  return ready ? "" : Object.values(parts).map((part) => part.missing).filter(Boolean).join("; ");
}

const json = (body) => ({ body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

function form(query, variables, blob) {
  const body = new FormData();
  body.append("operations", JSON.stringify({ query, variables: { ...variables, upload: null } }));
  body.append("map", JSON.stringify({ 0: ["variables.upload"] }));
  body.append("0", blob, "picture.jpg");
  return { body };
}

async function authorised(path, options) {
  if (!token()) throw new Refusal({ code: "security.unauthenticated" });
  return answered(await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token()}` } }));
}

async function answered(response) {
  const body = await response.json();
  if (response.ok) return body;
  if (response.status === 401) signOut();
  throw new Refusal(body);
}
