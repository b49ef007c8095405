/** What the bench and its child processes tell each other. Times are ms of process.hrtime, which all processes of a host share. */

/** To the readers. */
export type ToReaders =
  /** Opens readers of each URL. The first `attentive` of each read what they are given, the others count. */
  | { do: "open"; urls: string[]; each: number; attentive: number; headers: Record<string, string> }
  /** What came since the last time. */
  | { do: "collect" }
  /** Cuts every connection at once and opens them again, where each had been. */
  | { do: "storm" }
  | { do: "check" }
  | { do: "close" };

/** Where an attentive reader stood: the end of a piece of an answer, and when it came. */
export interface Heard {
  url: number;
  /** Characters of the answer it has with it; for the other servers, when the event was written. */
  end: number;
  at: number;
}

export interface Collected {
  /** Events that arrived, over all readers. */
  events: number;
  bytes: number;
  /** Answers that ended, as the attentive readers saw it. */
  ended: number;
  heard: Heard[];
  /** Connections that broke. */
  lost: number;
  /** CPU seconds of the readers' process. */
  cpuSeconds: number;
}

export interface Stormed {
  /** From the cut until the last one had caught up. */
  ms: number;
}

/** What the attentive readers were given over their connections, however often those were cut. */
export interface Checked {
  /** Messages and ends of turns that each has, the reader with the fewest and the one with the most. */
  entriesMin: number;
  entriesMax: number;
  /** Entries that came twice, and answers whose pieces do not join. */
  wrong: string[];
}

/** To a server that writes by itself: so many events to each of the groups, so many groups at a time. */
export interface Speak {
  groups: number;
  atOnce: number;
  events: number;
  perSecond: number;
  /** Characters of an event, about. */
  chars: number;
}

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
