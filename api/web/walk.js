// A walk through the results of one question: page after page, as the reader scrolls.

import { $ } from "./dom.js";

const AHEAD = "600px 0px";

/** Pages of one question, in order. A newer walk makes an older one's answers void. */
export class Walk {
  static current = null;

  #fetch;
  #gone = new AbortController();
  #busy = false;
  #end = null;

  /** `fetch(after, signal)` gives a page: `{edges, pageInfo}`. */
  constructor(fetch) {
    Walk.current?.leave();
    Walk.current = this;
    this.#fetch = fetch;
    this.shown = 0;
    this.hasMore = true;
    this.failed = false; // whether the last page asked for was not to be had
  }

  get signal() { return this.#gone.signal; }

  get isOver() { return this.#gone.signal.aborted; }

  /** The next page, or null when there is none, one is on its way, or the reader has left. */
  async next() {
    if (this.#busy || !this.hasMore || this.isOver) return null;
    this.#busy = true;
    try {
      const page = await this.#fetch(this.#end, this.signal);
      if (this.isOver) return null;
      this.#end = page.pageInfo.endCursor;
      this.hasMore = page.pageInfo.hasNextPage;
      this.shown += page.edges.length;
      return page;
    } catch (error) {
      if (this.isOver) return null;
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  leave() {
    this.#gone.abort();
    this.hasMore = false;
  }
}

let sight = null;

/** Call `onMore` when the end of the results comes near, or its button is pressed. */
export function startScrolling(onMore) {
  const button = $("more");
  button.onclick = onMore;
  sight = new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && !button.hidden) onMore();
  }, { rootMargin: AHEAD });
}

/** Look anew whether the end is near: an observer tells of changes only, and after a page it may still be. */
export function watchEnd() {
  sight.unobserve($("end"));
  sight.observe($("end"));
}
