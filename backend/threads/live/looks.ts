/**
 * Threads that are to be looked at, because others say that they changed: an organization's together, a few organizations at once. What
 * is named again while its organization is being looked at is looked at once more; so however many hints come, each thread waits once.
 */
export interface Looks {
  want(orgId: string, threadId: string): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

interface Looking {
  atOnce: number;
  /** Must not throw. */
  look(orgId: string, threadIds: string[]): Promise<void>;
}

export function createLooks({ atOnce, look }: Looking): Looks {
  const wanted = new Map<string, Set<string>>(); // in the order in which they were first named
  const looking = new Map<string, Promise<void>>();

  function go(): void {
    for (const [orgId, threadIds] of wanted) {
      if (looking.size >= atOnce) return;
      if (looking.has(orgId)) continue;
      wanted.delete(orgId);
      const done = look(orgId, [...threadIds]).finally(() => {
        looking.delete(orgId);
        go();
      });
      looking.set(orgId, done);
    }
  }

  return {
    want(orgId, threadId) {
      const threadIds = wanted.get(orgId) ?? new Set();
      threadIds.add(threadId);
      wanted.set(orgId, threadIds);
      go();
    },
    async idle() {
      while (looking.size > 0) await Promise.allSettled(looking.values());
    },
  };
}
