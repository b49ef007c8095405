import ts from "typescript";

/** A requirement's id in the title of a test or in a comment of a test file. */
export interface Citation {
  id: string;
  file: string;
  line: number;
  /** The title, or the comment's line. */
  text: string;
}

const TEST_FUNCTIONS = new Set(["it", "test", "describe"]);
/** `it.skip(…)` proves nothing, and neither does what stands in a skipped `describe`. */
const NOT_RUN = new Set(["skip", "todo"]);

/**
 * The citations of one test file: in titles of `it`, `test` and `describe` (also `it.each(…)(…)`), and in comments. Other strings do not
 * count, so that a test may handle ids as data.
 */
export function citations(file: string, source: string, families: string[]): Citation[] {
  const id = new RegExp(`\\b(?:${families.join("|")})-\\d+\\b`, "g");
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found: Citation[] = [];
  const cite = (text: string, position: number): void => {
    const line = tree.getLineAndCharacterOfPosition(position).line + 1;
    for (const [index, part] of text.split("\n").entries()) {
      for (const [match] of part.matchAll(id)) {
        found.push({ id: match, file, line: line + index, text: part.replace(/^[\s/*]+|[\s/*]+$/g, "") });
      }
    }
  };

  const seen = new Set<number>();
  const visit = (node: ts.Node): void => {
    for (const { pos, end } of commentsBefore(source, node)) {
      if (seen.has(pos)) continue;
      seen.add(pos);
      cite(source.slice(pos, end), pos);
    }
    if (ts.isCallExpression(node)) {
      const names = calleeNames(node.expression);
      if (TEST_FUNCTIONS.has(names[0] ?? "")) {
        if (names.some((name) => NOT_RUN.has(name))) return;
        const title = node.arguments[0];
        if (title && (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))) {
          cite(title.getText(tree).slice(1, -1), title.getStart(tree));
        }
      }
    }
    for (const child of node.getChildren(tree)) visit(child);
  };
  visit(tree);
  return found.sort((a, b) => a.line - b.line);
}

function commentsBefore(source: string, node: ts.Node): ts.CommentRange[] {
  const at = node.getFullStart();
  return [...(ts.getTrailingCommentRanges(source, at) ?? []), ...(ts.getLeadingCommentRanges(source, at) ?? [])];
}

/** `it.each(table)` → it, each. */
function calleeNames(callee: ts.Expression): string[] {
  if (ts.isIdentifier(callee)) return [callee.text];
  if (ts.isPropertyAccessExpression(callee)) return [...calleeNames(callee.expression), callee.name.text];
  if (ts.isCallExpression(callee)) return calleeNames(callee.expression);
  if (ts.isTaggedTemplateExpression(callee)) return calleeNames(callee.tag);
  return [];
}
