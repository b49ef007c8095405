-- An organization that came from an archive (backend/archive) has agents that are nothing in Letta yet: `imported` is a version that is to be
-- made there, soon or when its agent is first asked (agents/make-imported.ts).
alter table agent_versions drop constraint agent_versions_state_check;
alter table agent_versions add constraint agent_versions_state_check check (state in ('creating', 'ready', 'failed', 'imported'));
-- Until when somebody is making the agent's versions, in the database's time: one at a time, or each would remove the other's.
alter table agents add column make_until timestamptz;

-- An import writes a table's rows in the order of their keys, in which one may refer to a later one of the same table: checked at its end.
alter table threads alter constraint threads_org_id_parent_id_fkey deferrable;
alter table turns alter constraint turns_org_id_steers_turn_id_fkey deferrable;
