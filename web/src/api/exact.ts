// JSON whose integers keep their digits. `JSON.parse` makes doubles of them, and beyond 2^53 those are other numbers; what lets it tell a number's
// digits (`context.source`) is not in every browser that the page supports.

/** Where a text begins or ends, what is escaped in one, and numbers. Without a repetition of groups, which a long text would take too far. */
const TOKEN = /"|\\.|-?\d[\d.eE+-]*/g;
const INTEGER = /^-?\d+$/;

/** What `json` says, with integers that no double is exactly as the texts of their digits. */
export function parse(json: string): unknown {
  let isText = false;
  const exact = json.replace(TOKEN, (token) => {
    if (token === '"') isText = !isText;
    return !isText && isInexact(token) ? `"${token}"` : token;
  });
  return JSON.parse(exact);
}

function isInexact(token: string): boolean {
  return INTEGER.test(token) && !Number.isSafeInteger(Number(token));
}
