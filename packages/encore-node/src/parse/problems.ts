import path from "node:path";
import type ts from "typescript";
import type { SourceRef } from "../meta.js";

/** One violation of Encore's rules: a single sentence and the place it is about. */
export interface Problem {
  source: SourceRef | null;
  message: string;
}

/** Collects every problem of a parse, so that all are reported together; a problem said twice is kept once. */
export class Problems {
  private readonly byKey = new Map<string, Problem>();

  constructor(private readonly root: string) {}

  /** Where `node` begins, relative to the app root. */
  ref(node: ts.Node): SourceRef {
    const file = node.getSourceFile();
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    return { file: relativePath(this.root, file.fileName), line: line + 1 };
  }

  at(node: ts.Node, message: string): void {
    this.add(this.ref(node), message);
  }

  add(source: SourceRef | null, message: string): void {
    const problem = { source, message };
    this.byKey.set(formatProblem(problem), problem);
  }

  get count(): number {
    return this.byKey.size;
  }

  /** By file, then line. */
  list(): Problem[] {
    return [...this.byKey.values()].sort(
      (a, b) =>
        (a.source?.file ?? "").localeCompare(b.source?.file ?? "") || (a.source?.line ?? 0) - (b.source?.line ?? 0),
    );
  }
}

/** `file:line: sentence`, the form editors and terminals can jump to. */
export function formatProblem({ source, message }: Problem): string {
  return source ? `${source.file}:${source.line}: ${message}` : message;
}

/** `file` below `root` with forward slashes; a file elsewhere keeps its `../`. */
export function relativePath(root: string, file: string): string {
  return path.relative(root, file).split(path.sep).join("/");
}
