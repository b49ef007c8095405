-- Whether an agent's model is asked ahead of Letta (models/guess-pays.ts), and what every call to a model was for, who answered it, and
-- what became of it when it was a guess. agent_id is no foreign key, as turn_id is none: what was spent stays spent when they are gone.
alter table agents add column ask_ahead text not null default 'auto' check (ask_ahead in ('auto', 'on', 'off'));

alter table model_calls drop constraint model_calls_purpose_check;
alter table model_calls add constraint model_calls_purpose_check check (purpose in ('turn', 'letta', 'guess', 'embedding'));
alter table model_calls
  add column agent_id  text,
  add column upstream  text,
  add column estimated boolean not null default false,
  add column guess     text check (guess in ('hit', 'miss', 'unused'));

-- An agent's guesses, newest first: to decide whether the next one pays, and to show how they have fared.
create index model_calls_guesses on model_calls (org_id, agent_id, created_at desc)
  include (guess, prompt_tokens, completion_tokens, estimated) where guess is not null;
