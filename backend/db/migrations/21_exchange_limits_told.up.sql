-- Each limit of an exchange is told once: one that stops one chain of agents does not end the others.
alter table exchange_ends drop constraint exchange_ends_pkey;
alter table exchange_ends add primary key (org_id, thread_id, exchange_seq, reason);
alter table exchange_ends rename to exchange_limits_told;
