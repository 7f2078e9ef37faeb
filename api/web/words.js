// Every word of the page, in English and in Spanish.

const WORDS = {
  en: {
    skip: "Skip to results",
    docs: "API",
    theme: "Light or dark",
    other: "Español",
    signIn: "Sign in",
    signOut: "Sign out",
    signInWhy: "Search is for those whom the operator knows. The session lasts 15 minutes.",
    name: "Name",
    password: "Password",
    cancel: "Cancel",
    title: "Find it by words, or by a picture of it.",
    lead: "One search over the catalogues of many merchants, who trained its model together and kept their data to themselves.",
    placeholder: "navy blue checked shirt",
    searchLabel: "What are you looking for?",
    search: "Search",
    byPicture: "Search by picture",
    try: "Try:",
    gender: "For whom",
    season: "Season",
    colour: "Colour",
    any: "any",
    results: "Results",
    more: "Show more",
    similar: "Find similar",
    searching: "Searching…",
    nothing: "No product fits. Try other words or fewer filters.",
    refused: "Name or password is wrong.",
    expired: "Please sign in to search.",
    unreachable: "The server does not answer. Is it still running?",
    badPicture: "This file cannot be read as a picture.",
    notReady: "Search is getting ready:",
    found: (n) => (n === 1 ? "1 product" : `${n} products`),
    facts: (model, index, exact) => `model ${model} · index ${index} · ${exact ? "every product compared" : "approximate"}`,
    score: (score) => `similarity ${score}`,
    examples: ["black leather handbag", "white running shoes", "red summer dress", "men formal shirt", "silver watch"],
  },
  es: {
    skip: "Ir a los resultados",
    docs: "API",
    theme: "Claro u oscuro",
    other: "English",
    signIn: "Iniciar sesión",
    signOut: "Cerrar sesión",
    signInWhy: "La búsqueda es para quienes el operador conoce. La sesión dura 15 minutos.",
    name: "Nombre",
    password: "Contraseña",
    cancel: "Cancelar",
    title: "Encuéntralo con palabras o con una foto.",
    lead: "Una sola búsqueda sobre los catálogos de muchos comercios, que entrenaron juntos su modelo sin compartir sus datos.",
    placeholder: "navy blue checked shirt",
    searchLabel: "¿Qué buscas?",
    search: "Buscar",
    byPicture: "Buscar con una foto",
    try: "Prueba (el modelo entiende inglés):",
    gender: "Para quién",
    season: "Temporada",
    colour: "Color",
    any: "cualquiera",
    results: "Resultados",
    more: "Ver más",
    similar: "Ver parecidos",
    searching: "Buscando…",
    nothing: "Ningún producto coincide. Prueba otras palabras o menos filtros.",
    refused: "El nombre o la contraseña no son correctos.",
    expired: "Inicia sesión para buscar.",
    unreachable: "El servidor no responde. ¿Sigue en marcha?",
    badPicture: "Este archivo no se puede leer como imagen.",
    notReady: "La búsqueda se está preparando:",
    found: (n) => (n === 1 ? "1 producto" : `${n} productos`),
    facts: (model, index, exact) => `modelo ${model} · índice ${index} · ${exact ? "todos los productos comparados" : "aproximado"}`,
    score: (score) => `similitud ${score}`,
    examples: ["black leather handbag", "white running shoes", "red summer dress", "men formal shirt", "silver watch"],
  },
};

// Values of the catalogue stay as they are stored; only what is shown is translated.
const VALUES = {
  Men: "Hombre", Women: "Mujer", Boys: "Niños", Girls: "Niñas", Unisex: "Unisex",
  Summer: "Verano", Fall: "Otoño", Winter: "Invierno", Spring: "Primavera",
  Black: "Negro", White: "Blanco", Blue: "Azul", "Navy Blue": "Azul marino", Red: "Rojo", Green: "Verde", Grey: "Gris",
  Brown: "Marrón", Pink: "Rosa", Purple: "Morado", Yellow: "Amarillo", Silver: "Plateado", Beige: "Beige", Orange: "Naranja",
};

export const FILTERS = {
  gender: ["Men", "Women", "Boys", "Girls", "Unisex"],
  season: ["Summer", "Fall", "Winter", "Spring"],
  colour: ["Black", "White", "Blue", "Navy Blue", "Red", "Green", "Grey", "Brown", "Pink", "Purple", "Yellow", "Silver",
    "Beige", "Orange"],
};

let language = localStorage.getItem("language") || (navigator.language.startsWith("es") ? "es" : "en");

export const word = (name, ...values) => {
  const found = WORDS[language][name];
  return typeof found === "function" ? found(...values) : found;
};

export const valueName = (value) => (language === "es" && VALUES[value]) || value;

export function switchLanguage() {
  language = language === "es" ? "en" : "es";
  localStorage.setItem("language", language);
  translate(document);
}

/** Write the words of the current language into every element under `root` that asks for some. */
export function translate(root) {
  const each = (attribute, write) => {
    for (const element of root.querySelectorAll(`[data-${attribute}]`)) write(element, word(element.dataset[attribute]));
  };
  each("word", (element, text) => { element.textContent = text; });
  each("placeholder", (element, text) => { element.placeholder = text; });
  each("title", (element, text) => { element.title = text; });
  each("label", (element, text) => { element.setAttribute("aria-label", text); });
  if (root === document) document.documentElement.lang = language;
}
