// What the API answers: its data, or why it refused.

/** What the API refused: its stable code, its message and what to do. */
export class Refusal extends Error {
  constructor({ code = "", message = "", hint = "" } = {}) {
    super([message, hint].filter(Boolean).join(" "));
    this.code = code;
  }
}

const STRANGERS = ["security.unauthenticated", "security.session_ended"];

export const needsSignIn = (error) => error instanceof Refusal && STRANGERS.includes(error.code);

/** The body of an answer, null where it has none; a Refusal when it is one. */
export async function answered(response) {
  if (response.status === 204) return null;
  const body = await response.json();
  if (response.ok) return body;
  throw new Refusal(body);
}
