import { type FSWatcher, readdirSync, watch } from "node:fs";
import path from "node:path";
import { isAppFile, isSkippedFolder } from "../parse/files.js";

/** Migrations, and what code can import besides TypeScript. */
const OTHERS = new Set([".sql", ".json", ".js", ".mjs", ".txt"]);

/**
 * Calls `changed` after a source file, a migration or a setting of the app changed; gives the way to stop. Each folder is watched by itself,
 * because a recursive watch would hold one for every file below node_modules too.
 */
export function watchApp(root: string, changed: () => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  /** Watches the folders there are now; whether others were watched before. */
  const update = (): boolean => {
    const folders = new Set(appFolders(root));
    const gone = [...watchers.keys()].filter((folder) => !folders.has(folder));
    const come = [...folders].filter((folder) => !watchers.has(folder));
    for (const folder of gone) {
      watchers.get(folder)?.close();
      watchers.delete(folder);
    }
    for (const folder of come) add(folder);
    return gone.length + come.length > 0;
  };
  const add = (folder: string): void => {
    const watcher = watch(folder, (event, name) => {
      // "rename" is also how folders come and go.
      const moved = event === "rename" && update();
      if (moved || name === null || matters(folder === root, name)) changed();
    });
    // A folder that was removed: its parent tells.
    watcher.on("error", () => watcher.close());
    watchers.set(folder, watcher);
  };
  update();
  return () => {
    for (const watcher of watchers.values()) watcher.close();
  };
}

function matters(inRoot: boolean, name: string): boolean {
  return isAppFile(name) || OTHERS.has(path.extname(name)) || (inRoot && name === "encore.app");
}

function appFolders(folder: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !isSkippedFolder(entry.name))
      .map((entry) => path.join(folder, entry.name));
  } catch {
    return []; // gone since its parent was read
  }
  return [folder, ...entries.flatMap(appFolders)];
}
