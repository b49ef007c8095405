-- Characters at the end of a turn's answer that Letta does not have: 0 when it has the whole turn, null while that is not known.
alter table turns add column letta_lacks int check (letta_lacks >= 0);
-- Turns that ended while it was not sure that Letta has stored them: looked for before the agent's next turn (turns/settle.ts).
create index turns_unsettled on turns (org_id, thread_id, agent_version_id, branch) where letta_lacks is null and ended_at is not null;
