/**
 * What erasing a person does with each table. A new table goes here, and what it holds of a person into the steps of erase-person.ts: a test
 * compares this with the database's catalog. Of an organization every table is erased, without being named (erase-organization.ts).
 */
export const OF_A_PERSON: Record<string, string> = {
  users: "the row stays, because others refer to it: without name, e-mail, Clerk's id and home",
  members: "deleted, with the request",
  api_keys: "deleted, with the request",
  clerk_seats:
    "deleted, with the request; a keyed hash of Clerk's id stays, so that an older word does not bring them back",
  clerk_organizations: "Clerk's id of who made it is taken out",
  clerk_people: "stands in a person's own organization, and goes with that organization",
  clerk_places: "stands in a person's own organization, and goes with that organization",
  messages:
    "the person's, the answers to them, and copies of both keep their place and lose their text; names in what the system says",
  message_embeddings: "of those messages: deleted",
  interaction_captures: "of those answers: deleted",
  turn_deltas: "of those answers: deleted",
  thread_log: "the person's name in comings, goings and reactions",
  participants: "the name; they have left",
  threads: "titles of threads that the person began",
  reactions: "the person's: deleted",
  read_positions: "the person's: deleted",
  presence: "goes with the member",
  idempotency_keys: "answers to the person, about them, and about the threads that have anything of theirs",
  agents: "marked to learn anew; blocks and archives in Letta are made anew, empty",
  agent_versions: "the Letta agent of each version is made anew; what an agent is told to be is the organization's",
  agent_conversations: "of agents that heard the person: deleted, so that they hear the threads anew",
  turns: "ids and figures only; whose question it was is forgotten",
  usage_entries: "what was spent stays; whose it was is forgotten",
  limits: "the person's own and those of their keys: deleted",
  model_calls: "ids and figures only",
  exchange_limits_told: "ids and figures only",
  thread_branches: "ids and places only",
  thread_invitations: "ids and hashes of tokens only",
  model_credentials: "the organization's; the id of who set it",
  letta_tenants: "the organization's",
  organizations: "the organization's",
  audit_entries: "ids and words of ours only, which is why none needs to be changed",
  audit_heads: "figures only",
  erasures: "ids and figures only",
};
