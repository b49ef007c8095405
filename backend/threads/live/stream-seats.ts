/** Seats for open streams: each costs memory, a socket and heartbeats, so that one organization, or all together, take only so many. */
interface SeatsMax {
  perOrg: number;
  total: number;
}

export interface Seats {
  /** Takes a seat; null when there is none left. What is returned gives it back; calling it again does nothing. */
  take(orgId: string): (() => void) | null;
}

export function makeSeats({ perOrg, total }: SeatsMax): Seats {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(orgId) {
      const mine = taken.get(orgId) ?? 0;
      if (mine >= perOrg || all >= total) return null;
      taken.set(orgId, mine + 1);
      all++;
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        all--;
        const left = (taken.get(orgId) ?? 1) - 1;
        if (left > 0) taken.set(orgId, left);
        else taken.delete(orgId);
      };
    },
  };
}
