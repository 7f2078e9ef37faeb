// The page as a client of the API: a token, queries, pictures.

const HITS = "{ indexVersion modelVersion exact truncated pageInfo { hasNextPage endCursor } edges { score node " +
  "{ id productDisplayName articleType baseColour season year gender usage } } }";
const BY_TEXT = `query ($text: String!, $after: String, $filter: FileFilter) {
  answer: searchByText(text: $text, first: 24, after: $after, filter: $filter) ${HITS} }`;
const BY_PICTURE = `query ($upload: Upload, $after: String, $filter: FileFilter) {
  answer: searchByImage(upload: $upload, first: 24, after: $after, filter: $filter) ${HITS} }`;

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

/** One page of a search: `{text}` or `{picture: Blob}`, with the filter, after a cursor. */
export async function search({ text, picture, filter, after }) {
  const variables = { after, filter };
  const request = picture ? form(picture, variables) : json({ query: BY_TEXT, variables: { ...variables, text } });
  const { data, errors } = await authorised("/graphql", { method: "POST", ...request });
  if (errors) throw new Refusal({ message: errors[0].message, ...errors[0].extensions });
  return data.answer;
}

export async function picture(id) {
  const response = await fetch(`/files/${id}/image`, { headers: { Authorization: `Bearer ${token()}` } });
  return response.ok ? response.blob() : null;
}

/** What search still waits for, as text, or "" when it is ready. */
export async function missing() {
  const { ready, parts } = await (await fetch("/readyz")).json();
  return ready ? "" : Object.values(parts).map((part) => part.missing).filter(Boolean).join("; ");
}

const json = (body) => ({ body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

function form(blob, variables) {
  const body = new FormData();
  body.append("operations", JSON.stringify({ query: BY_PICTURE, variables: { ...variables, upload: null } }));
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
