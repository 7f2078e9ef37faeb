// The page as a client of the API: GraphQL and pictures, with the token of whoever is signed in.

import { Refusal, answered } from "./answers.js";
import { accessToken, forget, renewed } from "./tokens.js";

export { Refusal, needsSignIn } from "./answers.js";
export { identity, isSignedIn, signIn, signOut } from "./tokens.js";

/** The data that a GraphQL document gives; with `upload`, a picture goes along as the variable of that name. */
export async function ask(query, variables = {}, { upload, signal } = {}) {
  const request = upload ? form(query, variables, upload) : json({ query, variables });
  const { data, errors } = await answered(await authorised("/graphql", { method: "POST", signal, ...request }));
  if (errors) throw new Refusal({ message: errors[0].message, ...errors[0].extensions });
  return data;
}

/** The picture of a product, or null when it has none. */
export async function picture(id, { signal } = {}) {
  const response = await authorised(`/files/${id}/image`, { signal });
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

// A token may end on its way, or with its key: then once more with another one, of which nobody notices anything.
async function authorised(path, options) {
  const token = await accessToken();
  let response = await bearing(token, path, options);
  if (response.status === 401 && (await renewed(token))) response = await bearing(await accessToken(), path, options);
  if (response.status === 401) forget();
  return response;
}

const bearing = (token, path, options) =>
  fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
