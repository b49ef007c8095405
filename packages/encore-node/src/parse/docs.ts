import ts from "typescript";

/**
 * The comment directly above a declaration, without its stars: a block comment, or the line comments that touch it.
 * Comments with an empty line below them belong to nobody, as in Encore.
 */
export function docOf(node: ts.Node): string {
  const file = node.getSourceFile();
  const text = file.text;
  const kept: string[] = [];
  let below = lineOf(file, node.getStart(file));
  const ranges = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  // A block comment on the declaration's own line counts as trailing what stands before it, as in `{ /** The id. */ id: string }`.
  for (const range of ts.getTrailingCommentRanges(text, node.getFullStart()) ?? [])
    if (range.kind === ts.SyntaxKind.MultiLineCommentTrivia && lineOf(file, range.end) === below) ranges.push(range);
  for (const range of ranges.reverse()) {
    if (below - lineOf(file, range.end) > 1) break;
    const block = range.kind === ts.SyntaxKind.MultiLineCommentTrivia;
    if (block && kept.length > 0) break;
    kept.unshift(clean(text.slice(range.pos, range.end), block));
    below = lineOf(file, range.pos);
    if (block) break;
  }
  return kept.join("\n").trim();
}

function clean(comment: string, block: boolean): string {
  if (!block) return comment.replace(/^\/\/+ ?/, "").trimEnd();
  return comment
    .replace(/^\/\*+/, "")
    .replace(/\*+\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}

const lineOf = (file: ts.SourceFile, position: number): number => file.getLineAndCharacterOfPosition(position).line;
