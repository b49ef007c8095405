-- An answer that a person has given again begins its exchange anew, in a branch of its own: what was counted and told in the branch that was
-- left is not seen there.
alter table exchange_limits_told add column branch int not null default 1;
alter table exchange_limits_told drop constraint exchange_ends_pkey;
alter table exchange_limits_told add primary key (org_id, thread_id, exchange_seq, branch, reason);
