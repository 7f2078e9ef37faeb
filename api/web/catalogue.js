// Questions to the catalogue: a page of a search or of browsing, and the counts beside it.

import { ATTRIBUTES, YEARS } from "./address.js";
import { ask } from "./client.js";

const FIRST = 24;
const MOST_OF_A_BRAND = 2;

const PRODUCT = "id productDisplayName masterCategory subCategory articleType baseColour season year usage gender brand owner imageUrl";
const COUNTS = "totalCount @include(if: $counted) facets @include(if: $counted) { attribute values { value products } }";
const FOUND = `{ indexVersion modelVersion exact recall truncated edges { score node { ${PRODUCT} } }
  pageInfo { hasNextPage endCursor } ${COUNTS} }`;
const LISTED = `{ edges { node { ${PRODUCT} } } pageInfo { hasNextPage endCursor } ${COUNTS} }`;

const PAGED = "$first: Int!, $after: String, $filter: FileFilter, $counted: Boolean!";
const page = "first: $first, after: $after, filter: $filter";
const CHOOSY = `${PAGED}, $without: String, $hideDuplicates: Boolean!, $perBrand: Int`;
const choosy = `${page}, without: $without, hideDuplicates: $hideDuplicates, perBrand: $perBrand`;

const BROWSE = `query (${PAGED}) { answer: files(${page}) ${LISTED} }`;
const BY_TEXT = `query ($text: String!, ${CHOOSY}) { answer: searchByText(text: $text, ${choosy}) ${FOUND} }`;
const LIKE = `query ($id: Int!, ${CHOOSY}) { answer: similarTo(id: $id, ${choosy}) ${FOUND} }`;
const BY_PICTURE = `query ($upload: Upload, $text: String, $textWeight: Float!, ${CHOOSY}) {
  answer: searchByImage(upload: $upload, text: $text, textWeight: $textWeight, ${choosy}) ${FOUND} }`;
const COUNT = "query ($filter: FileFilter) { facets(filter: $filter) { attribute values { value products } } }";
const ONE = `query ($id: Int!) { file(id: $id) { ${PRODUCT} } }`;

/** One page of what `state` asks for, after a cursor; `picture` is the Blob that it searches by, if it does. */
export async function fetchPage(state, { after = null, picture = null, signal }) {
  const paged = { first: FIRST, after, filter: filterOf(state.chosen), counted: after === null };
  const { without, unique, varied } = state;
  const variety = { without: without || null, hideDuplicates: unique, perBrand: varied ? MOST_OF_A_BRAND : null };
  const choosy = { ...paged, ...variety };
  if (picture) {
    const variables = { ...choosy, text: state.text || null, textWeight: state.weight };
    return (await ask(BY_PICTURE, variables, { upload: picture, signal })).answer;
  }
  if (state.like) return (await ask(LIKE, { ...choosy, id: state.like }, { signal })).answer;
  if (state.text) return (await ask(BY_TEXT, { ...choosy, text: state.text }, { signal })).answer;
  return (await ask(BROWSE, paged, { signal })).answer;
}

/** What could be chosen besides, for each attribute of which something is: counted as if nothing of it were. */
export async function fetchAlternatives(chosen, signal) {
  const narrowed = ATTRIBUTES.filter((attribute) => narrowing(attribute).some((name) => chosen[name]));
  const counted = narrowed.map(async (attribute) => {
    const others = Object.entries(chosen).filter(([name]) => !narrowing(attribute).includes(name));
    const { facets } = await ask(COUNT, { filter: filterOf(Object.fromEntries(others)) }, { signal });
    return facets.find((facet) => facet.attribute === attribute);
  });
  return (await Promise.all(counted)).filter(Boolean);
}

export const fetchProduct = async (id) => (await ask(ONE, { id })).file;

const narrowing = (attribute) => (attribute === "year" ? ["year", ...YEARS] : [attribute]);

/** The choices as the API takes them. */
export function filterOf(chosen) {
  const filter = Object.entries(chosen).map(([name, values]) => [name, YEARS.includes(name) ? Number(values[0]) : values]);
  return filter.length ? Object.fromEntries(filter) : null;
}
